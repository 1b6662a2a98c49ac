"""Walk back over the digits of a number to the last 1, from a place on. The length is the number of digits."""

from random import Random

from megatron_rfft.tasks import register
from megatron_rfft.tasks.digits import random_digits_until


def walk_back_to_one(num, place):
    while num and num[-1] != "1":
        place += 1
        num = num[:-1]
    return place


def instance(rng: Random, length: int) -> tuple:
    return random_digits_until(rng, length, "1", from_end=True), rng.randint(1, 8)


def reference(num: str, place: int) -> int:
    return place + (len(num) - 1 - num.rindex("1") if "1" in num else len(num))


register(
    walk_back_to_one,
    source="own",
    role="extra",
    valid_lengths=range(1, 61),
    instance=instance,
    reference=reference,
    questions=[
        "You stand at {place} and walk over {num} from its end to a 1. Where are you then?",
        "From {place}, add one for each digit at the end of {num} that comes before a 1 from the right.",
        "Read {num} from the right and count up from {place}. What is it when a 1 comes?",
        "Number: {num}. Place: {place}. Each digit from the end is a step, a 1 ends the walk. Which place?",
        "Starting at {place}, how far does {num} carry you from its last digit to a 1?",
        "{num} loses digits at the end until a 1 comes, and {place} grows by one for each. What becomes of it?",
    ],
)
