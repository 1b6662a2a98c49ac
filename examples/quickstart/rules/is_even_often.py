"""Does a digit occur an even number of times? The length is the number of digits."""

from random import Random

from megatron_rfft.tasks import register


def is_even_often(num, digit):
    even = True
    while num:
        if num[0] == digit:
            even = not even
        num = num[1:]
    return even


def instance(rng: Random, length: int) -> tuple:
    kinds = rng.sample("0123456789", rng.choice([2, 3, 10]))
    num = "".join(rng.choices(kinds, k=length))
    return num, rng.choice(kinds)


def reference(num: str, digit: str) -> bool:
    return num.count(digit) % 2 == 0


register(
    is_even_often,
    source="own",
    split="extra",
    valid_lengths=range(1, 61),
    instance=instance,
    reference=reference,
    questions=["Does {digit} occur an even number of times in {num}?", "Is the number of {digit} in {num} even?"],
)
