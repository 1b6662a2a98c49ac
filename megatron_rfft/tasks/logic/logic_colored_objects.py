"""Colored objects: how many things up to an object have another color? The length is the number of objects."""

from random import Random

from megatron_rfft.tasks.registry import register
from megatron_rfft.tasks.words import OBJECTS

COLORS = ("red", "blue", "green", "black")


def logic_colored_objects(items, thing, color):
    count = 0
    while items:
        item = items.pop(0)
        if item[0] != color:
            count += 1
        if item[1] == thing:
            return count
    return count


def instance(rng: Random, length: int) -> tuple:
    color = rng.choice(COLORS)
    share = rng.random()
    colors = [color if rng.random() < share else rng.choice(COLORS) for _ in range(length)]
    things = rng.sample(OBJECTS, length)
    return [list(item) for item in zip(colors, things, strict=True)], rng.choice(things[length // 2 :]), color


def reference(items: list[list[str]], thing: str, color: str) -> int:
    names = [name for _, name in items]
    return sum(other != color for other, _ in items[: names.index(thing) + 1])


register(
    logic_colored_objects,
    source="logic_colored_objects",
    role="extra",
    valid_lengths=range(1, 61),
    instance=instance,
    reference=reference,
    questions=[
        "These things lie in a row, from left to right. From the first up to the {thing}, which counts too, how many "
        "are not {color}? items = {items}",
        "In this row of colored things, go to the {thing} and stop there. How many of those that you have seen, the "
        "{thing} among them, have another color than {color}? items = {items}",
        "Count the things that are not {color}, from the start of the row to the {thing} inclusive. items = {items}",
    ],
)
