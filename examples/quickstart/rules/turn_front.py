"""Write the first digits of a number in reverse. The length is the number of digits."""

from random import Random

from megatron_rfft.tasks import register
from megatron_rfft.tasks.digits import random_count, random_digits


def turn_front(num, front):
    place = 0
    result = ""
    while place < front:
        result = num[0] + result
        num = num[1:]
        place += 1
    return result + num


def instance(rng: Random, length: int) -> tuple:
    return random_digits(rng, length), random_count(rng, length)


def reference(num: str, front: int) -> str:
    return num[:front][::-1] + num[front:]


register(
    turn_front,
    source="own",
    role="extra",
    valid_lengths=range(1, 61),
    instance=instance,
    reference=reference,
    questions=[
        "Turn around what {num} has before place {front}.",
        "The digits before place {front} of {num} change their order. What number is it?",
        "Number: {num}. Write its first {front} digits in reverse, and then the others.",
        "What is {num} with its first {front} digits, counted from the left, in reverse?",
        "Starting at the front, {front} digits of the number {num} are turned around. What stands there?",
        "Up to place {front} from the left, reverse {num}.",
    ],
)
