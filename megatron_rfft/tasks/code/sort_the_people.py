"""Sort the People: names from the tallest person to the shortest. The length is the number of people."""

from random import Random

from megatron_rfft.tasks.registry import register
from megatron_rfft.tasks.words import NAMES


def sort_the_people(names, heights):
    result = []
    placed = [0]  # the end: nobody is shorter
    while names:
        name = names.pop(0)
        height = heights.pop(0)
        i = 0
        while placed[i] > height:
            i += 1
        placed.insert(i, height)
        result.insert(i, name)
    return result


def instance(rng: Random, length: int) -> tuple:
    return rng.sample(NAMES, length), rng.sample(range(130, 211), length)


def reference(names: list[str], heights: list[int]) -> list[str]:
    return [name for _, name in sorted(zip(heights, names, strict=True), reverse=True)]


register(
    sort_the_people,
    source="lc_2418",
    role="pretrain",
    valid_lengths=range(1, 21),  # the trace grows with the square
    instance=instance,
    reference=reference,
    questions=[
        "The people have these heights, in the same order; no two are equally tall. "
        "List their names from the tallest to the shortest. names = {names}, heights = {heights}",
        "Line these people up by height, the tallest first; each height belongs to the name at the same place, "
        "and all are different. In which order do they stand? names = {names}, heights = {heights}",
        "Sort the names so that the heights that go with them, one each and all different, fall from left to right. "
        "names = {names}, heights = {heights}",
    ],
)
