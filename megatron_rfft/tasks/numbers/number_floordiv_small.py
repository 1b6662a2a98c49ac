"""Long division by a small integer, without the remainder. The length is the dividend's number of digits."""

from random import Random

from megatron_rfft.tasks.digits import random_digits
from megatron_rfft.tasks.registry import register


def number_floordiv_small(num, divisor):
    quotient = ""
    remainder = 0
    while num:
        remainder = remainder * 10 + int(num[0])
        digit = remainder // divisor
        remainder = remainder % divisor
        if quotient or digit:
            quotient += str(digit)
        num = num[1:]
    if quotient == "":
        quotient = "0"
    return quotient


def instance(rng: Random, length: int) -> tuple:
    largest = rng.choice([9, 99]) if length > 1 else 9
    return random_digits(rng, length), rng.randint(2, largest)


def reference(num: str, divisor: int) -> str:
    return str(int(num) // divisor)


register(
    number_floordiv_small,
    source="number_floordiv_small",
    role="extra",
    valid_lengths=range(1, 61),
    instance=instance,
    reference=reference,
    questions=[
        "What is {num} divided by {divisor}, rounded down to a whole number?",
        "How many times does {divisor} fit into {num}?",
        "Divide {num} by {divisor} and drop the remainder. What is the quotient?",
    ],
)
