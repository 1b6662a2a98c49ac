"""Keep the last digits of a number. The length is the number of digits."""

from random import Random

from megatron_rfft.tasks import register
from megatron_rfft.tasks.digits import random_count, random_digits


def last_digits(num, position):
    count = 0
    result = ""
    while count < position:
        result = num[-1] + result
        num = num[:-1]
        count += 1
    return result


def instance(rng: Random, length: int) -> tuple:
    return random_digits(rng, length), random_count(rng, length)


def reference(num: str, position: int) -> str:
    return num[len(num) - position :]


register(
    last_digits,
    source="own",
    role="extra",
    valid_lengths=range(1, 61),
    instance=instance,
    reference=reference,
    questions=[
        "Which are the last {position} digits of {num}?",
        "Which digits, counted from the right and starting at 1, does {num} have up to position {position}?",
        "Keep {position} digits at the end of the number {num}.",
        "Up to position {position} from the right, what stands in {num}?",
        "Number: {num}. Write its digits from the end up to position {position}.",
        "The end of {num} is cut off in front of {position} digits. Which digits are they?",
        "If {position} is how many digits of {num} to keep, counted from its end, which are they?",
        "{position} digits stand at the end of {num}. Write them.",
        "Which digits does {num} end with, if {position} of them count?",
        "Go back {position} digits from the end of {num}. Which ones do you pass?",
        "The position is {position}, counted from the right, the number is {num}. What stands from there on?",
        "Of the number {num}, what is the end that has {position} digits?",
    ],
)
