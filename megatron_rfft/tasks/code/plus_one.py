"""Plus One: add 1 to an integer given as the list of its digits. The length is the number of digits."""

from random import Random

from megatron_rfft.tasks.digits import random_digits
from megatron_rfft.tasks.registry import register


def lc_66(digits):
    result = []
    carry = 1
    while digits:
        digit = digits.pop() + carry
        carry = digit // 10
        result.insert(0, digit % 10)
    if carry:
        result.insert(0, 1)
    return result


def instance(rng: Random, length: int) -> tuple:
    """One number in four ends in nines, so that the 1 is carried on, sometimes to a new first digit."""
    num = random_digits(rng, length)
    num_nines = rng.randint(1, 4 * length)
    if num_nines <= length:
        num = num[: length - num_nines] + "9" * num_nines
    return ([int(digit) for digit in num],)


def reference(digits: list[int]) -> list[int]:
    value = sum(digit * 10**place for place, digit in enumerate(reversed(digits)))
    return [int(digit) for digit in str(value + 1)]


register(
    lc_66,
    source="lc_66",
    role="extra",
    valid_lengths=range(1, 61),
    instance=instance,
    reference=reference,
    questions=[
        "This list holds the digits of a whole number. Give the list of the digits of the next larger one. digits = "
        "{digits}",
        "Read the digits as one number and add 1 to it. What are the digits of the sum, as a list? digits = {digits}",
        "A counter shows these digits and then counts one further; it has room for a new digit in front. What does it "
        "show, as a list? digits = {digits}",
    ],
)
