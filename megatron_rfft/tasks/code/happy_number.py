"""Happy Number, step by step: sum the squares of the digits, so many times. The length is the number of digits."""

from random import Random

from megatron_rfft.tasks.digits import random_digits
from megatron_rfft.tasks.registry import register


def lc_202(num, steps):
    while steps:
        total = 0
        while num:
            digit = int(num[0])
            total += digit * digit
            num = num[1:]
        num = str(total)
        steps -= 1
    return int(num)


def instance(rng: Random, length: int) -> tuple:
    return random_digits(rng, length), rng.randint(1, 4)


def reference(num: str, steps: int) -> int:
    for _ in range(steps):
        num = str(sum(digit**2 * num.count(str(digit)) for digit in range(10)))
    return int(num)


register(
    lc_202,
    source="lc_202",
    role="extra",
    version=2,
    valid_lengths=range(1, 61),
    instance=instance,
    reference=reference,
    questions=[
        "Replace {num} by the sum of the squares of its digits, then do the same to the result, and so on. Which "
        "number is result number {steps}?",
        "Square each digit of a number and add the squares: that is one step. Where do you get from {num} with "
        "step number {steps}?",
        "Starting with {num}, always go on to the sum of the squared digits. What do you get when you go on for "
        "time number {steps}?",
    ],
)
