"""Object counting: how many things of one kind are there? The length is the number of objects listed."""

from random import Random

from megatron_rfft.tasks.categories import KINDS
from megatron_rfft.tasks.registry import register


def object_counting(objects, kind):
    count = 0
    while objects:
        item = objects.pop(0)
        if item[0] in kind:
            count += item[1]
    return count


def instance(rng: Random, length: int) -> tuple:
    kind = list(rng.choice(list(KINDS.values())))
    others = [word for words in KINDS.values() for word in words if word not in kind]
    fewest = max(0, length - len(others))
    num_counted = rng.randint(fewest, min(length, len(kind)))
    names = rng.sample(kind, num_counted) + rng.sample(others, length - num_counted)
    rng.shuffle(names)
    rng.shuffle(kind)
    return [[name, rng.randint(1, 5)] for name in names], kind


def reference(objects: list[list], kind: list[str]) -> int:
    numbers = dict(objects)
    return sum(numbers.get(name, 0) for name in kind)


register(
    object_counting,
    source="bbh_object_counting",
    role="pretrain",
    valid_lengths=range(1, 61),
    instance=instance,
    reference=reference,
    questions=[
        "I have these objects, each given with its number. How many of them are of the kind listed? "
        "kind = {kind}, objects = {objects}",
        "Each object is followed by how many there are of it. What is the number of all that belong to this kind? "
        "kind = {kind}, objects = {objects}",
        "How many things in my possession are of this kind, if I own each object in the number behind it? "
        "kind = {kind}, objects = {objects}",
    ],
)
