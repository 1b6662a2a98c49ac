"""The last digits of a number, as many as asked for. The length is the number of digits."""

from random import Random

from megatron_rfft.tasks import register
from megatron_rfft.tasks.digits import random_digits


def last_digits(num, count):
    result = ""
    done = 0
    while done < count:
        result = num[-1] + result
        num = num[:-1]
        done += 1
    return result


def instance(rng: Random, length: int) -> tuple:
    return random_digits(rng, length), rng.randint(0, length)


def reference(num: str, count: int) -> str:
    return num[len(num) - count :]


register(
    last_digits,
    source="own",
    split="extra",
    valid_lengths=range(1, 61),
    instance=instance,
    reference=reference,
    questions=["Which are the last {count} digits of {num}?", "Take {count} digits from the end of {num}."],
)
