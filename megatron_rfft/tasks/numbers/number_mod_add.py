"""Modular addition of two long integers. The length is the longer one's number of digits."""

from random import Random

from megatron_rfft.tasks.digits import random_digits_pair
from megatron_rfft.tasks.registry import register


def number_mod_add(num1, num2, modulus):
    remainder1 = 0
    while num1:
        remainder1 = (remainder1 * 10 + int(num1[0])) % modulus
        num1 = num1[1:]
    remainder2 = 0
    while num2:
        remainder2 = (remainder2 * 10 + int(num2[0])) % modulus
        num2 = num2[1:]
    return (remainder1 + remainder2) % modulus


def instance(rng: Random, length: int) -> tuple:
    return *random_digits_pair(rng, length), rng.randint(11, 113)


def reference(num1: str, num2: str, modulus: int) -> int:
    return (int(num1) + int(num2)) % modulus


register(
    number_mod_add,
    source="number_mod_add",
    role="extra",
    version=2,
    valid_lengths=range(1, 61),
    instance=instance,
    symmetric=True,
    reference=reference,
    questions=[
        "What is {num1} + {num2} modulo {modulus}?",
        "Add {num1} and {num2}. Which remainder does the sum leave when it is divided by {modulus}?",
        "Calculate ({num1} + {num2}) mod {modulus}.",
    ],
)
