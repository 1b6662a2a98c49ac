"""A number up to the last such digit. The length is the number of digits."""

from random import Random

from megatron_rfft.tasks import register
from megatron_rfft.tasks.digits import random_digits_and_stop


def cut_before_back(num, stop):
    count = 0
    while num and num[-1] != stop:
        count += 1
        num = num[:-1]
    return num


def instance(rng: Random, length: int) -> tuple:
    return random_digits_and_stop(rng, length, from_end=True)


def reference(num: str, stop: str) -> str:
    return num[: num.rindex(stop) + 1] if stop in num else ""


register(
    cut_before_back,
    source="own",
    split="extra",
    valid_lengths=range(1, 61),
    instance=instance,
    reference=reference,
    questions=[
        "What remains of {num} from the first {stop} on from the last digit on?",
        "Take digits off {num} up to a {stop} from the last digit on.",
    ],
)
