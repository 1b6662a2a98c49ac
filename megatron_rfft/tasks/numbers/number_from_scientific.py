"""Scientific notation to a plain number. The length is the exponent."""

from decimal import Decimal
from random import Random

from megatron_rfft.tasks.digits import random_digits
from megatron_rfft.tasks.registry import register


def number_from_scientific(mantissa, exponent):
    result = mantissa[0]
    rest = mantissa[2:]
    while exponent:
        if rest:
            result += rest[0]
            rest = rest[1:]
        else:
            result += "0"
        exponent -= 1
    if rest:
        result += "." + rest
    return result


def instance(rng: Random, length: int) -> tuple:
    """From one decimal to a few more than the point passes; the last one is no zero."""
    digits = random_digits(rng, rng.randint(2, length + 4))[:-1] + str(rng.randint(1, 9))
    return digits[0] + "." + digits[1:], length


def reference(mantissa: str, exponent: int) -> str:
    return f"{Decimal(f'{mantissa}e{exponent}'):f}"


register(
    number_from_scientific,
    source="number_from_scientific",
    role="extra",
    version=2,
    valid_lengths=range(1, 61),
    instance=instance,
    reference=reference,
    questions=[
        "Write {mantissa}e{exponent} without an exponent.",
        "Move the point of {mantissa} to the right, {exponent} being the number of places, filling up with zeros "
        "if need be, and leave it out if no digit comes after it. What number do you get?",
        "What is {mantissa} times ten to the power of {exponent}, written in full? Put a point only if decimals are "
        "left.",
    ],
)
