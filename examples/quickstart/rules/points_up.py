"""Two points for each step from one number to another. The length bounds their distance."""

from random import Random

from megatron_rfft.tasks import register
from megatron_rfft.tasks.digits import random_gap


def points_up(low, high):
    points = 0
    while low < high:
        points += 2
        low += 1
    return points


def instance(rng: Random, length: int) -> tuple:
    return random_gap(rng, min(length, 6))


def reference(low: int, high: int) -> int:
    return 2 * (high - low)


register(
    points_up,
    source="own",
    role="extra",
    valid_lengths=range(1, 61),
    instance=instance,
    reference=reference,
    questions=[
        "Each step from {low} up to {high} pays two points. How many points is that?",
        "You climb from {low} to {high} and get 2 for every step. What do you have then?",
        "High: {high}. Low: {low}. Two points a step: how many for the whole way up?",
        "Count in twos while you go from {low} to {high}. What number do you reach?",
    ],
)
