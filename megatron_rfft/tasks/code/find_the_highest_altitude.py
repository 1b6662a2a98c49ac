"""Find the Highest Altitude: the highest point of a way from height 0. The length is the number of stages."""

from itertools import accumulate
from random import Random

from megatron_rfft.tasks.registry import register


def lc_1732(gains):
    altitude = 0
    highest = 0
    while gains:
        altitude += gains.pop(0)
        highest = max(highest, altitude)
    return highest


def instance(rng: Random, length: int) -> tuple:
    drift = rng.randint(-3, 8)
    return ([rng.randint(-20, 20) + drift for _ in range(length)],)


def reference(gains: list[int]) -> int:
    return max([0, *accumulate(gains)])


register(
    lc_1732,
    source="lc_1732",
    role="extra",
    valid_lengths=range(1, 61),
    instance=instance,
    reference=reference,
    questions=[
        "A tour starts at altitude 0, and each stage goes up by the given number, or down if it is negative. What is "
        "the highest altitude on the way, the start included? gains = {gains}",
        "Add up the numbers one by one, beginning with 0. Which is the largest value that you ever have, the 0 "
        "included? gains = {gains}",
        "A balloon at height 0 rises and sinks by these amounts. How high is it at most, at the start or after a "
        "change? gains = {gains}",
    ],
)
