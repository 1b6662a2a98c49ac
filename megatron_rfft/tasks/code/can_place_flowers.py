"""Can Place Flowers: is there room for n more flowers without neighbours? The length is the number of plots."""

from random import Random

from megatron_rfft.tasks.registry import register


def can_place_flowers(flowerbed, n):
    previous = 0
    while flowerbed and n > 0:
        plot = flowerbed.pop(0)
        if plot == 0 and previous == 0 and (not flowerbed or flowerbed[0] == 0):
            plot = 1
            n -= 1
        previous = plot
    return n == 0


def instance(rng: Random, length: int) -> tuple:
    density = rng.uniform(0.05, 0.75)
    flowerbed: list[int] = []
    while len(flowerbed) < length:
        flowerbed.append(int(flowerbed[-1:] != [1] and rng.random() < density))
    room = places(flowerbed)
    margin = min(rng.choice([0, 0, 0, 1]), room)  # small, so that n alone gives little away
    return flowerbed, rng.choice([room - margin, room + 1 + margin])


def places(flowerbed: list[int]) -> int:
    """How many flowers fit in: every second plot of each gap but its ends, where beyond the bed is more of the gap."""
    gaps = "".join(map(str, [0, *flowerbed, 0])).split("1")
    return sum((len(gap) - 1) // 2 for gap in gaps)


def reference(flowerbed: list[int], n: int) -> bool:
    return n <= places(flowerbed)


register(
    can_place_flowers,
    source="lc_605",
    role="pretrain",
    valid_lengths=range(1, 61),
    instance=instance,
    reference=reference,
    questions=[
        "In a row of plots, 1 is a plot with a flower and 0 an empty one. Can flowers be planted on {n} of the "
        "empty plots so that no two flowers stand side by side? flowerbed = {flowerbed}",
        "Flowers must not grow on neighbouring plots. Has this bed, where 1 marks the plots that "
        "are taken, room for {n} more? flowerbed = {flowerbed}",
        "Is it possible to turn {n} of the zeros into ones without getting two ones next to each other? "
        "flowerbed = {flowerbed}",
    ],
)
