"""Products: multiply numbers modulo a prime. The length is the number of factors."""

from math import prod
from random import Random

from megatron_rfft.tasks.registry import register

PRIMES = (11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47)


def number_products(factors, modulus):
    result = 1
    while factors:
        factor = factors.pop(0)
        result = result * factor % modulus
    return result


def instance(rng: Random, length: int) -> tuple:
    return [rng.randint(2, 9) for _ in range(length)], rng.choice(PRIMES)  # no factor makes the rest a zero


def reference(factors: list[int], modulus: int) -> int:
    return prod(factors) % modulus


register(
    number_products,
    source="number_products",
    role="extra",
    valid_lengths=range(1, 61),
    instance=instance,
    reference=reference,
    questions=[
        "What is the product of these factors modulo {modulus}? factors = {factors}",
        "Multiply all the factors. What remainder does the product leave when divided by {modulus}? "
        "factors = {factors}",
        "Calculate the product of the list, keeping only the remainder by {modulus}. factors = {factors}",
    ],
)
