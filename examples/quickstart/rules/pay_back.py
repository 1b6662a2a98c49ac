"""A debt, less each digit. The length is the number of digits."""

from random import Random

from megatron_rfft.tasks import register


def pay_back(num, debt):
    while num:
        debt -= int(num[-1])
        num = num[:-1]
    return debt


def instance(rng: Random, length: int) -> tuple:
    return "".join(rng.choices("0123456789"[: rng.randint(2, 6)], k=length)), rng.randint(-9, 40)


def reference(num: str, debt: int) -> int:
    return debt - sum(map(int, num))


register(
    pay_back,
    source="own",
    split="extra",
    valid_lengths=range(1, 61),
    instance=instance,
    reference=reference,
    questions=[
        "Take each digit of {num} off {debt}, beginning at the last. What is left?",
        "What is {debt} less the digits of {num}?",
    ],
)
