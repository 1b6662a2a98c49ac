"""Reformat Phone Number: its digits in groups of three, or two at the end. The length is that of the phone string."""

import re
from random import Random
from string import digits

from megatron_rfft.tasks.registry import register


def reformat_phone_number(number):
    rest = ""
    while number:
        if number[0].isdigit():
            rest += number[0]
        number = number[1:]
    result = ""
    while len(rest) > 4:
        result += rest[:3] + "-"
        rest = rest[3:]
    if len(rest) == 4:
        result += rest[:2] + "-"
        rest = rest[2:]
    result += rest
    return result


def instance(rng: Random, length: int) -> tuple:
    num_digits = rng.randint((length + 1) // 2, length)
    number = rng.choices(digits, k=num_digits) + rng.choices(" -", k=length - num_digits)
    rng.shuffle(number)
    return ("".join(number),)


def reference(number: str) -> str:
    figures = number.replace("-", "").replace(" ", "")
    return "-".join(re.findall("...(?!.$)|..|.", figures))  # no three that leave one alone


register(
    reformat_phone_number,
    source="lc_1694",
    role="pretrain",
    valid_lengths=range(1, 61),
    instance=instance,
    reference=reference,
    questions=[
        "Keep only the digits of the phone number '{number}' and group them in threes from the left; when four are "
        "left, make two groups of two of them, and when fewer are left, one group. "
        "Join the groups with '-'. What is the number then?",
        "Rewrite the phone number '{number}' without its spaces and dashes, then cut off three digits at a time as "
        "long as more than four remain. The last four are written two and two, the last three, two or one together. "
        "Put a dash between neighbouring groups.",
        "How does '{number}' read if old spaces and dashes go and new dashes stand after every third digit, "
        "but a rest of four digits is split in the middle, and no dash stands at the end?",
    ],
)
