"""The first digit of a number that is at most 4. The length is the number of digits."""

from random import Random

from megatron_rfft.tasks import register


def first_small(num):
    while int(num[0]) > 4:
        num = num[1:]
    return int(num[0])


def instance(rng: Random, length: int) -> tuple:
    before = rng.randrange(length)
    large = rng.choices("56789", k=before)
    return ("".join([*large, rng.choice("01234"), *rng.choices("0123456789", k=length - before - 1)]),)


def reference(num: str) -> int:
    return next(int(digit) for digit in num if digit <= "4")


register(
    first_small,
    source="own",
    role="extra",
    valid_lengths=range(1, 61),
    instance=instance,
    reference=reference,
    questions=[
        "Which digit of {num} is the first that is at most 4?",
        "Read {num} from the left until a digit is 4 or less. Which digit is it?",
        "Number: {num}. What is its first digit below 5?",
    ],
)
