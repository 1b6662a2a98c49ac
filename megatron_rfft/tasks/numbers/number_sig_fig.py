"""Significant figures: round an integer to so many of its first digits. The length is the number of digits."""

from random import Random

from megatron_rfft.tasks.digits import random_digits
from megatron_rfft.tasks.registry import register


def number_sig_fig(num, figures):
    result = ""
    dropped = "0"
    while len(num) > figures:
        dropped = num[-1]
        num = num[:-1]
        result += "0"
    carry = int(dropped) // 5
    while num:
        digit = int(num[-1]) + carry
        carry = digit // 10
        result = str(digit % 10) + result
        num = num[:-1]
    if carry:
        result = "1" + result
    return result


def instance(rng: Random, length: int) -> tuple:
    nines = rng.choice([0, 0, 0.6])  # rounding up then carries on, sometimes to a new first digit
    num = "".join("9" if rng.random() < nines else digit for digit in random_digits(rng, length))
    return num, rng.randint(1, length)


def reference(num: str, figures: int) -> str:
    unit = 10 ** (len(num) - figures)
    return str((2 * int(num) + unit) // (2 * unit) * unit)


register(
    number_sig_fig,
    source="number_sig_fig",
    role="extra",
    version=2,
    valid_lengths=range(1, 61),
    instance=instance,
    reference=reference,
    questions=[
        "Round {num} to significant figures, {figures} of them, half up, and write the result as a whole number.",
        "Cut {num} behind its digit number {figures}, rounded, and put zeros for the rest; a dropped part that "
        "begins with 5 or more rounds up. Which number results?",
        "If {figures} is the number of significant digits, what is {num} rounded (a 5 rounds up), written out in full?",
    ],
)
