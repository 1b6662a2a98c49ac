"""LRU cache: how many requests are hits? The length is the number of requests."""

from random import Random

from megatron_rfft.tasks.registry import register


def alg_lru_cache(requests, capacity):
    cache = []
    hits = 0
    while requests:
        key = requests.pop(0)
        if key in cache:
            hits += 1
            cache.remove(key)
        elif len(cache) == capacity:
            cache.pop(0)
        cache.append(key)
    return hits


def instance(rng: Random, length: int) -> tuple:
    capacity = rng.randint(2, 5)
    keys = "ABCDEFGHIJ"[: capacity + rng.randint(1, 5)]
    return rng.choices(keys, k=length), capacity


def reference(requests: list[str], capacity: int) -> int:
    """A request is a hit if fewer other keys than the capacity were asked for since the last one for the same key."""
    hits = 0
    for i, key in enumerate(requests):
        since = requests[:i][::-1]
        if key in since:
            hits += len(set(since[: since.index(key)])) < capacity
    return hits


register(
    alg_lru_cache,
    source="alg_lru_cache",
    role="extra",
    valid_lengths=range(1, 61),
    instance=instance,
    reference=reference,
    questions=[
        "A cache has room for {capacity} keys and is empty at first. A requested key that it lacks is put in; if it is "
        "full, the key that has not been requested for the longest time goes out. "
        "How many requests find their key in the cache? requests = {requests}",
        "Count the hits of a cache for {capacity} keys that drops the least recently used key when it needs room for "
        "a new one, beginning empty. requests = {requests}",
        "You keep the {capacity} books that you have used last at your desk and fetch any other from the shelf. "
        "No book is at your desk at first. How often is the book that you need there already? requests = {requests}",
    ],
)
