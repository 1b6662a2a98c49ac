"""What is left of a limit if each digit takes one? The length is the number of digits."""

from random import Random

from megatron_rfft.tasks import register
from megatron_rfft.tasks.digits import random_digits


def count_down(num, limit):
    left = limit
    while num and left:
        left -= 1
        num = num[1:]
    return left


def instance(rng: Random, length: int) -> tuple:
    return random_digits(rng, length), rng.randint(0, length + 4)


def reference(num: str, limit: int) -> int:
    return max(limit - len(num), 0)


register(
    count_down,
    source="own",
    role="extra",
    valid_lengths=range(1, 61),
    instance=instance,
    reference=reference,
    questions=[
        "How much of {limit} is left if each digit of {num} takes one?",
        "{num} takes one from {limit} per digit. What is left?",
        "Start at {limit} and go down by one for every digit that the number {num} has. Where do you stop?",
        "From {limit}, counted down once for each digit of {num}, what number is reached?",
        "Starting at {limit}, each digit of {num} takes away one. What is left?",
        "Number: {num}. Its digits are taken one by one from {limit}. How much is left?",
        "If {limit} is where you begin, and each digit of {num} is a step down, where do you end?",
        "{limit} goes down by the number of digits of {num}. What does it become?",
        "The number is {num}, the limit is {limit}. What is left of the limit after a step per digit?",
        "How far down from {limit} do the digits of {num} bring you, one step each?",
        "Read the digits of {num} while {limit} counts down. Which number is on the counter at the end?",
        "A counter stands at {limit}. The digits of {num} let it fall by one each. Where is it then?",
    ],
)
