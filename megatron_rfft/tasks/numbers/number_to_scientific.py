"""Scientific notation of an integer. The length is the number of digits."""

from random import Random

from megatron_rfft.tasks.digits import random_digits
from megatron_rfft.tasks.registry import register


def number_to_scientific(num):
    result = num[0] + "."
    num = num[1:]
    exponent = 0
    zeros = ""
    while num:
        exponent += 1
        if num[0] == "0":
            zeros += "0"
        else:
            result += zeros + num[0]
            zeros = ""
        num = num[1:]
    if result[-1] == ".":
        result += "0"
    return result + "e" + str(exponent)


def instance(rng: Random, length: int) -> tuple:
    """Zeros are frequent in the middle, and often end the number."""
    share = rng.uniform(0, 0.6)
    first, *rest = random_digits(rng, length).replace("0", "5")
    rest = ["0" if rng.random() < share else digit for digit in rest]
    num_last = rng.choice([0, rng.randint(0, length // 2)])
    return (first + "".join(rest[: length - 1 - num_last]) + "0" * num_last,)


def reference(num: str) -> str:
    digits = num.rstrip("0")
    return f"{digits[0]}.{digits[1:] or 0}e{len(num) - 1}"


register(
    number_to_scientific,
    source="number_to_scientific",
    role="extra",
    valid_lengths=range(1, 61),
    instance=instance,
    reference=reference,
    questions=[
        "Write {num} in scientific notation such as 1.203e5, without needless zeros at the end of the mantissa but "
        "with at least one digit after the point.",
        "What is {num} as one digit, a point, the further digits up to the last that is not 0 (or a single 0 if there "
        "is none), the letter e and the power of ten?",
        "Convert {num} to scientific notation. The mantissa has one digit before the point and one or more after it, "
        "with no more zeros at the end than that takes, and e stands before the exponent, as in 4.0e7.",
    ],
)
