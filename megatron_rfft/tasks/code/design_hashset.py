"""Design HashSet: add, remove and look up keys. The length is the number of operations."""

from random import Random

from megatron_rfft.tasks.registry import register


def design_hashset(operations):
    keys = []
    results = []
    while operations:
        action, key = operations.pop(0)
        if action == "add":
            if key not in keys:
                keys.append(key)
        elif action == "remove":
            if key in keys:
                keys.remove(key)
        else:
            results.append(key in keys)
    return results


def instance(rng: Random, length: int) -> tuple:
    pool = rng.sample(range(100), length // 4 + 2)  # few enough for keys to come up again
    return ([[rng.choice(["add", "add", "remove", "contains", "contains"]), rng.choice(pool)] for _ in range(length)],)


def reference(operations: list[list]) -> list[bool]:
    last_change: dict[int, str] = {}
    results = []
    for action, key in operations:
        if action == "contains":
            results.append(last_change.get(key) == "add")
        else:
            last_change[key] = action
    return results


register(
    design_hashset,
    source="lc_705",
    role="pretrain",
    valid_lengths=range(1, 61),
    instance=instance,
    reference=reference,
    questions=[
        "A set is empty at first. 'add' puts a key in, 'remove' takes it out if it is there, and 'contains' asks "
        "whether it is in the set. List the answers to all 'contains', True or False, in order. "
        "operations = {operations}",
        "Carry out these operations on an empty set of numbers; adding a number twice or removing an absent one "
        "changes nothing. What does each 'contains' return? Give the list of True and False. operations = {operations}",
        "Which list of True and False do the 'contains' questions give, if a set starts empty and numbers are added to "
        "it and removed from it in this order? operations = {operations}",
    ],
)
