"""Get digit of a decimal: the digit at a position, the point not counted. The length is the number of digits."""

from random import Random

from megatron_rfft.tasks.digits import random_decimal
from megatron_rfft.tasks.registry import register


def number_get_digit_float(num, position):
    count = 0
    while count < position:
        if num[0] != ".":
            count += 1
        num = num[1:]
    if num[0] == ".":
        num = num[1:]
    return int(num[0])


def instance(rng: Random, length: int) -> tuple:
    return random_decimal(rng, length), rng.randrange(length)


def reference(num: str, position: int) -> int:
    whole, fraction = num.split(".")
    return int((whole + fraction)[position])


register(
    number_get_digit_float,
    source="number_get_digit_float",
    role="extra",
    version=2,
    valid_lengths=range(2, 61),
    instance=instance,
    reference=reference,
    questions=[
        "Which digit stands at position {position} of {num}, counted from the left and from 0, if the point is "
        "skipped?",
        "Leave the point out of {num} and call its first digit number 0. What is digit number {position}?",
        "If {position} is the number of digits before a digit of {num}, the decimal point not being one, which "
        "digit is that?",
    ],
)
