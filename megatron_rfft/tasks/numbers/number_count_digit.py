"""Count digit: how often does a digit occur in an integer? The length is the number of digits."""

from random import Random

from megatron_rfft.tasks.digits import random_digits
from megatron_rfft.tasks.registry import register


def number_count_digit(num, digit):
    count = 0
    while num:
        if num[0] == digit:
            count += 1
        num = num[1:]
    return count


def instance(rng: Random, length: int) -> tuple:
    """One digit is frequent; asked for is one that occurs or the one after the last, which often does not."""
    frequent = rng.choice("123456789")
    share = rng.uniform(0, 0.8)
    num = "".join(frequent if rng.random() < share else digit for digit in random_digits(rng, length))
    return num, rng.choice([*rng.choices(num, k=3), str((int(num[-1]) + 1) % 10)])


def reference(num: str, digit: str) -> int:
    return len(num) - len(num.replace(digit, ""))


register(
    number_count_digit,
    source="number_count_digit",
    role="extra",
    valid_lengths=range(1, 61),
    instance=instance,
    reference=reference,
    questions=[
        "How often does the digit {digit} occur in {num}?",
        "Count the digits of {num} that are equal to {digit}.",
        "In {num}, how many times is the digit {digit} written?",
    ],
)
