"""A number from the first such digit on. The length is the number of digits."""

from random import Random

from megatron_rfft.tasks import register
from megatron_rfft.tasks.digits import random_digits_and_stop


def cut_before(num, stop):
    count = 0
    while num and num[0] != stop:
        count += 1
        num = num[1:]
    return num


def instance(rng: Random, length: int) -> tuple:
    return random_digits_and_stop(rng, length)


def reference(num: str, stop: str) -> str:
    return num[num.index(stop) :] if stop in num else ""


register(
    cut_before,
    source="own",
    split="extra",
    valid_lengths=range(1, 61),
    instance=instance,
    reference=reference,
    questions=["What remains of {num} from the first {stop} on?", "Take digits off {num} up to a {stop}."],
)
