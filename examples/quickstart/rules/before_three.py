"""How many digits come before a 3, counted on from a number? The length is the number of digits."""

from random import Random

from megatron_rfft.tasks import register
from megatron_rfft.tasks.digits import random_digits_until


def before_three(num, start):
    result = start
    while num:
        if num[0] == "3":
            return result
        result += 1
        num = num[1:]
    return result


def instance(rng: Random, length: int) -> tuple:
    return random_digits_until(rng, length, "3"), rng.randint(0, 9)


def reference(num: str, start: int) -> int:
    return start + (num.index("3") if "3" in num else len(num))


register(
    before_three,
    source="own",
    role="extra",
    valid_lengths=range(1, 61),
    instance=instance,
    reference=reference,
    questions=[
        "Counted on from {start}, how many digits of {num} come before a 3?",
        "You have passed {start} digits. Look for a 3 from the left: {num}. How many have you passed then?",
        "Start at {start}. The number {num} is read up to a 3, and each digit before it adds one. What is it then?",
        "Before the first 3, what does {start} grow to, by one for each digit of {num}?",
        "{num} may hold a 3. How far is it from the front, if the front is at {start}?",
        "The front of {num} counts as {start}. Where does its first 3 stand?",
    ],
)
