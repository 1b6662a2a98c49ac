"""Value of a polynomial modulo a prime, by Horner's scheme. The length is the number of coefficients."""

from random import Random

from megatron_rfft.tasks.registry import register

PRIMES = (11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47)


def number_horner(coefficients, x, modulus):
    value = 0
    while coefficients:
        coefficient = coefficients.pop(0)
        value = (value * x + coefficient) % modulus
    return value


def instance(rng: Random, length: int) -> tuple:
    coefficients = [rng.randint(1, 9)] + [rng.randint(0, 9) for _ in range(length - 1)]
    return coefficients, rng.randint(2, 9), rng.choice(PRIMES)


def reference(coefficients: list[int], x: int, modulus: int) -> int:
    return sum(c * x**power for power, c in enumerate(reversed(coefficients))) % modulus


register(
    number_horner,
    source="number_horner",
    role="extra",
    valid_lengths=range(1, 61),
    instance=instance,
    reference=reference,
    questions=[
        "What is the value of this polynomial at x = {x}, modulo {modulus}? "
        "The coefficients are listed from the highest power down to the constant. coefficients = {coefficients}",
        "Put x = {x} into the polynomial with these coefficients, the constant last, and divide by {modulus}. "
        "What is the remainder? coefficients = {coefficients}",
        "Read the coefficients as digits of a numeral to base {x}, the first one most significant (they may exceed "
        "the base). What is the number modulo {modulus}? coefficients = {coefficients}",
    ],
)
