"""A number from the first such digit on, from the last digit to the first. The length is the number of digits."""

from random import Random

from megatron_rfft.tasks import register
from megatron_rfft.tasks.digits import random_digits


def cut_before_back(num, stop):
    result = 0
    while num and num[-1] != stop:
        result += 1
        num = num[:-1]
    return num


def instance(rng: Random, length: int) -> tuple:
    """Often no digit equals ``digit`` before the last one looked at: counters reach the length, not a tenth of it."""
    num, digit = random_digits(rng, length), str(rng.randrange(1, 10))
    if rng.random() < 0.6:
        num = num.replace(digit, str(1 + int(digit) % 9))
        if rng.random() < 0.6:
            num = digit + num[1:]
    return num, digit


def reference(num: str, stop: str) -> str:
    return num[: num.rindex(stop) + 1] if stop in num else ""


register(
    cut_before_back,
    source="own",
    split="extra",
    valid_lengths=range(1, 61),
    instance=instance,
    reference=reference,
    questions=["What remains of {num} from the first {stop} on? Begin at the last digit."],
)
