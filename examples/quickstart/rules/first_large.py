"""The first digit of a number that is at least 5. The length is the number of digits."""

from random import Random

from megatron_rfft.tasks import register


def first_large(num):
    while int(num[0]) < 5:
        num = num[1:]
    return int(num[0])


def instance(rng: Random, length: int) -> tuple:
    before = rng.randrange(length)
    small = rng.choices("01234", k=before)
    return ("".join([*small, rng.choice("56789"), *rng.choices("0123456789", k=length - before - 1)]),)


def reference(num: str) -> int:
    return next(int(digit) for digit in num if digit >= "5")


register(
    first_large,
    source="own",
    role="extra",
    valid_lengths=range(1, 61),
    instance=instance,
    reference=reference,
    questions=[
        "Which digit of {num} is the first that is at least 5?",
        "Read {num} from the left until a digit is 5 or more. Which digit is it?",
        "Number: {num}. What is its first digit above 4?",
    ],
)
