"""A number from the first such digit on. The length is the number of digits."""

from random import Random

from megatron_rfft.tasks import register
from megatron_rfft.tasks.digits import random_digits


def cut_before(num, stop):
    count = 0
    while num and num[0] != stop:
        count += 1
        num = num[1:]
    return num


def instance(rng: Random, length: int) -> tuple:
    num, stop = random_digits(rng, length), str(rng.randrange(1, 10))
    if rng.random() < 0.6:
        num = num.replace(stop, str(1 + int(stop) % 9))
        if rng.random() < 0.6:
            num = num[:-1] + stop
    return num, stop


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
