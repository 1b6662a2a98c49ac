"""Reverse list: the items in reverse order. The length is the number of items."""

from random import Random

from megatron_rfft.tasks.registry import register
from megatron_rfft.tasks.words import FEW_OBJECTS


def reverse_list(items):
    result = []
    while items:
        item = items.pop()
        result.append(item)
    return result


def instance(rng: Random, length: int) -> tuple:
    return (rng.sample(FEW_OBJECTS, length),)


def reference(items: list[str]) -> list[str]:
    return items[::-1]


register(
    reverse_list,
    source="bbh_reverse_list",
    role="pretrain",
    valid_lengths=range(1, 61),
    instance=instance,
    reference=reference,
    questions=[
        "Write the list from its last item to its first. items = {items}",
        "What does the list look like in reverse order? items = {items}",
        "Turn this list around, so that it ends with what is now its first item. items = {items}",
    ],
)
