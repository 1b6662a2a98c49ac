"""Addition of two decimals, their points aligned. The length is the longer one's number of digits."""

from decimal import Context, Decimal
from random import Random

from megatron_rfft.tasks.digits import random_decimal
from megatron_rfft.tasks.registry import register


def number_add_float(num1, num2):
    fraction1 = ""
    while num1[-1] != ".":
        fraction1 = num1[-1] + fraction1
        num1 = num1[:-1]
    fraction2 = ""
    while num2[-1] != ".":
        fraction2 = num2[-1] + fraction2
        num2 = num2[:-1]
    result = ""
    while len(fraction1) > len(fraction2):
        result = fraction1[-1] + result
        fraction1 = fraction1[:-1]
    while len(fraction2) > len(fraction1):
        result = fraction2[-1] + result
        fraction2 = fraction2[:-1]
    carry = 0
    while fraction1:
        total = int(fraction1[-1]) + int(fraction2[-1]) + carry
        fraction1 = fraction1[:-1]
        fraction2 = fraction2[:-1]
        result = str(total % 10) + result
        carry = total // 10
    result = "." + result
    num1 = num1[:-1]
    num2 = num2[:-1]
    while num1 or num2 or carry:
        total = carry
        if num1:
            total += int(num1[-1])
            num1 = num1[:-1]
        if num2:
            total += int(num2[-1])
            num2 = num2[:-1]
        result = str(total % 10) + result
        carry = total // 10
    return result


def instance(rng: Random, length: int) -> tuple:
    shorter = rng.choice([length, rng.randint(2, length)])
    pair = [random_decimal(rng, length), random_decimal(rng, shorter)]
    rng.shuffle(pair)
    return tuple(pair)


def reference(num1: str, num2: str) -> str:
    return f"{Context(prec=200).add(Decimal(num1), Decimal(num2)):f}"


register(
    number_add_float,
    source="number_add_float",
    role="extra",
    version=2,
    valid_lengths=range(2, 36),
    instance=instance,
    symmetric=True,
    reference=reference,
    questions=[
        "What is {num1} + {num2}? Keep as many decimals as the number with more of them has, even zeros at the end.",
        "Add {num1} and {num2} and write the sum with the same number of decimals as the longer fraction, zeros "
        "included.",
        "Write {num1} and {num2} one below the other, point under point, and add them, without dropping zeros at the "
        "end. What do you get?",
    ],
)
