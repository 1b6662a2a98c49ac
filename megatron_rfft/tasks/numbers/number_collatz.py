"""Collatz steps: halve what is even, triple what is odd and add 1. The length is the number of steps."""

from random import Random

from megatron_rfft.tasks.registry import register


def number_collatz(num, steps):
    while steps:
        if num % 2 == 0:
            num = num // 2
        else:
            num = 3 * num + 1
        steps -= 1
    return num


def instance(rng: Random, length: int) -> tuple:
    """A start that does not come to 4, from where on the sequence only repeats 4, 2, 1."""
    while True:
        num = rng.randint(3, 199_999)
        if reference(num, length) > 4:
            return num, length


def reference(num: int, steps: int) -> int:
    """With all halvings in a row at once: they take the zeros off the end of the binary numeral."""
    while steps:
        halvings = min(steps, (num & -num).bit_length() - 1)
        num = num >> halvings if halvings else 3 * num + 1
        steps -= halvings or 1
    return num


register(
    number_collatz,
    source="number_collatz",
    role="extra",
    version=2,
    valid_lengths=range(1, 61),
    instance=instance,
    reference=reference,
    questions=[
        "In each step an even number is halved and an odd one is multiplied by 3 and increased by 1. Which "
        "number do you reach from {num} with step number {steps}?",
        "Take {num}. Divide it by 2 if it is even, else triple it and add 1; go on like this with the result. "
        "What is result number {steps}?",
        "In the Collatz sequence n is followed by n / 2 if it is even and by 3n + 1 if it is odd. If {num} is "
        "number 0 of the sequence, what is number {steps}?",
    ],
)
