"""Write the numbers above another, downwards. There are at most as many as the length, and at most three."""

from random import Random

from megatron_rfft.tasks import register
from megatron_rfft.tasks.digits import random_gap


def write_down(number, limit):
    result = ""
    while number != limit:
        result += str(number)
        number -= 1
    return result


def instance(rng: Random, length: int) -> tuple:
    limit, number = random_gap(rng, min(length, 3))
    return number, limit


def reference(number: int, limit: int) -> str:
    return "".join(map(str, range(number, limit, -1)))


register(
    write_down,
    source="own",
    role="extra",
    valid_lengths=range(1, 61),
    instance=instance,
    reference=reference,
    questions=[
        "Write the numbers from {number} down to {limit}, without the last one.",
        "Start at {number} and write each number above {limit}, going down.",
        "Limit: {limit}. Number: {number}. Write what you pass on the way down, the limit not included.",
        "Above {limit}, but not above {number}: write these numbers side by side, the largest first.",
    ],
)
