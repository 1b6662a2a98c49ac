"""Get digit: the digit of an integer at a position, counted from the left and from 0. The length is the digits'."""

from random import Random

from megatron_rfft.tasks.digits import random_digits
from megatron_rfft.tasks.registry import register


def get_digit_int(num, position):
    count = 0
    while count < position:
        num = num[1:]
        count += 1
    return int(num[0])


def instance(rng: Random, length: int) -> tuple:
    return random_digits(rng, length), rng.randrange(length)


def reference(num: str, position: int) -> int:
    return int(num) // 10 ** (len(num) - 1 - position) % 10


register(
    get_digit_int,
    source="nupa_get_digit_int",
    role="held-out",
    version=2,
    valid_lengths=range(1, 101),
    instance=instance,
    reference=reference,
    questions=[
        "Which digit stands at position {position} of {num}, counted from the left and starting at 0?",
        "Counting from the left, and calling the first digit number 0, what is digit number {position} of {num}?",
        "If {position} is the number of digits before a digit of {num}, which digit is that?",
    ],
)
