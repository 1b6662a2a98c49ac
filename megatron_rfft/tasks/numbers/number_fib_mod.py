"""Fibonacci-like sequence modulo a number. The length is the number of steps."""

from random import Random

from megatron_rfft.tasks.registry import register


def number_fib_mod(first, second, modulus, steps):
    while steps:
        first, second = second, (first + second) % modulus
        steps -= 1
    return second


def instance(rng: Random, length: int) -> tuple:
    modulus = rng.randint(20, 99)
    return rng.randrange(1, modulus), rng.randrange(1, modulus), modulus, length


def reference(first: int, second: int, modulus: int, steps: int) -> int:
    """From the n-th and the next Fibonacci number, without the sequence in between."""
    a, b = 0, 1
    for bit in f"{steps:b}":
        a, b = a * (2 * b - a), a * a + b * b
        if bit == "1":
            a, b = b, a + b
    return (first * a + second * b) % modulus


register(
    number_fib_mod,
    source="number_fib_mod",
    role="extra",
    version=2,
    valid_lengths=range(1, 61),
    instance=instance,
    reference=reference,
    questions=[
        "A sequence starts with {first}, {second}; each further number is the sum of the two before it, modulo "
        "{modulus}. What is further number {steps}?",
        "Begin with {first} and {second} and add the last two numbers, again and again, keeping the remainder by "
        "{modulus}. What is the result of addition number {steps}?",
        "Let each number be the sum of its two predecessors modulo {modulus}, beginning with {first} and "
        "{second}. What is number {steps} of those that follow these two?",
    ],
)
