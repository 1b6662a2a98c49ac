"""A number without its first digits, as many as asked for. The length is the number of digits."""

from random import Random

from megatron_rfft.tasks import register
from megatron_rfft.tasks.digits import random_count, random_digits


def skip_digits(num, count):
    while count:
        num = num[1:]
        count -= 1
    return num


def instance(rng: Random, length: int) -> tuple:
    return random_digits(rng, length), random_count(rng, length)


def reference(num: str, count: int) -> str:
    return num[count:]


register(
    skip_digits,
    source="own",
    role="extra",
    valid_lengths=range(1, 61),
    instance=instance,
    reference=reference,
    questions=[
        "Drop the first {count} digits of {num}. What is left?",
        "Without its first {count} digits, what is {num}?",
        "The number {num} loses {count} digits at the front. Which digits stay?",
        "Which digits of {num} stand behind the first {count}, counted from the left?",
        "Take {count} digits off {num}, starting at the left.",
        "Number: {num}. What is left if {count} digits at the front are dropped?",
        "If {count} is how many digits {num} loses at its front, what does it become?",
        "{count} digits go away at the beginning of {num}. Write what stays.",
        "What does {num} become when you skip {count} of its digits?",
        "The count is {count}, the number is {num}. Skip that many digits and write the others.",
        "Starting behind the first {count} digits, how does {num} go on?",
        "Read {num}, but leave out {count} digits at first. What do you read?",
    ],
)
