"""Modular arithmetic without brackets, from left to right. The length is the number of operators."""

from random import Random

from megatron_rfft.tasks.registry import register


def sym_mod_arith_flat(value, steps, modulus):
    while steps:
        operator, number = steps.pop(0)
        if operator == "+":
            value = (value + number) % modulus
        elif operator == "-":
            value = (value - number) % modulus
        else:
            value = value * number % modulus
    return value


def instance(rng: Random, length: int) -> tuple:
    modulus = rng.choice([5, 7, 11])  # a prime, so that a product forgets nothing of the value
    steps = [[rng.choice("+-*"), rng.randrange(1, modulus)] for _ in range(length)]
    return rng.randrange(modulus), steps, modulus


def reference(value: int, steps: list[list], modulus: int) -> int:
    """The remainder of the exact result, from Python's own arithmetic."""
    expression = "(" * len(steps) + str(value) + "".join(f"{operator}{number})" for operator, number in steps)
    return eval(expression) % modulus


register(
    sym_mod_arith_flat,
    source="sym_mod_arith_flat",
    role="extra",
    valid_lengths=range(1, 61),
    instance=instance,
    reference=reference,
    questions=[
        "Start with {value} and apply each step to the result so far, always modulo {modulus}. "
        "What is the last result, 0 or more? steps = {steps}",
        "Calculate strictly from left to right, without precedence: the first number is {value}, then come these "
        "operators with their numbers. What is the result modulo {modulus}, not negative? steps = {steps}",
        "A value is {value} at first, then it is changed by one operation after the other and reduced modulo "
        "{modulus} each time, to 0 or more. What is it at the end? steps = {steps}",
    ],
)
