"""Count zeroes among the last digits. The length is the number of digits."""

from random import Random

from megatron_rfft.tasks import register
from megatron_rfft.tasks.digits import random_count, random_digits_of_few


def zeroes_behind(num, cuts):
    index = 0
    zeroes = 0
    while index < cuts:
        if num[-1] == "0":
            zeroes += 1
        num = num[:-1]
        index += 1
    return zeroes


def instance(rng: Random, length: int) -> tuple:
    return random_digits_of_few(rng, length), random_count(rng, length)


def reference(num: str, cuts: int) -> int:
    return num[len(num) - cuts :].count("0")


register(
    zeroes_behind,
    source="own",
    role="extra",
    valid_lengths=range(1, 61),
    instance=instance,
    reference=reference,
    questions=[
        "How many zeroes are among the last {cuts} digits of {num}?",
        "Take {cuts} digits off the end of {num}. How many of them are 0?",
        "Count the zeroes that go in {cuts} cuts, counted from the right, of the number {num}.",
        "Number: {num}. After {cuts} cuts at its end, how many zeroes are cut off?",
        "If {cuts} is the number of digits cut off {num} at its end, how many zeroes fall?",
        "{cuts} digits at the end of {num} are looked at. How often is it a 0?",
        "The number of cuts is {cuts}, the number is {num}. How many zeroes go, from the right?",
        "How often does 0 stand in {num}, if only {cuts} digits at its end count?",
        "Which number of zeroes goes away if {num} loses {cuts} digits at its end?",
        "Cut {num} {cuts} times at its right end. How many of the digits that fall are 0?",
        "From the right, {cuts} digits of {num} are checked for zeroes. How many are found?",
        "Of the number {num}, {cuts} digits are read backwards from the end. How many zeroes are read?",
    ],
)
