"""How many digits of a number follow its last 8, counted on from a number? The length is the number of digits."""

from random import Random

from megatron_rfft.tasks import register
from megatron_rfft.tasks.digits import random_digits_until


def before_eight(num, start):
    result = start
    while num:
        if num[-1] == "8":
            return result
        result += 1
        num = num[:-1]
    return result


def instance(rng: Random, length: int) -> tuple:
    return random_digits_until(rng, length, "8", from_end=True), rng.randint(0, 9)


def reference(num: str, start: int) -> int:
    num = num[::-1]
    return start + (num.index("8") if "8" in num else len(num))


register(
    before_eight,
    source="own",
    role="extra",
    valid_lengths=range(1, 61),
    instance=instance,
    reference=reference,
    questions=[
        "Counted on from {start}, how many digits of {num} come after its last 8?",
        "Counted from the end, which is at {start}, where is the first 8 of the number {num}?",
        "Walk back through {num} to an 8. You have made {start} steps; how many are they then?",
        "{num}: how many digits lie between the end and the nearest 8, if there are {start} already?",
        "Is there an 8 near the end? Say what {start} and the digits of {num} behind it make.",
        "Start at {start}. How many steps from the right has {num} then taken to reach an 8?",
    ],
)
