"""Run-length decoding: write each letter as often as its number says. The length is the number of runs."""

import re
from random import Random
from string import ascii_lowercase

from megatron_rfft.tasks.registry import register


def sym_rle_decode(code):
    text = ""
    while code:
        letter = code[0]
        count = int(code[1])
        code = code[2:]
        while count:
            text += letter
            count -= 1
    return text


def instance(rng: Random, length: int) -> tuple:
    return ("".join(rng.choice(ascii_lowercase) + str(rng.randint(1, 4)) for _ in range(length)),)


def reference(code: str) -> str:
    return re.sub(r"(.)(\d)", lambda run: run[1] * int(run[2]), code)


register(
    sym_rle_decode,
    source="sym_rle_decode",
    role="extra",
    valid_lengths=range(1, 61),
    instance=instance,
    reference=reference,
    questions=[
        "In this code each letter is followed by the number of times it is to be written. "
        "Which text does it stand for? code = '{code}'",
        "Expand the code, so that 'a2b1' becomes 'aab', for example. code = '{code}'",
        "Undo the run-length encoding: what was the text before every run of letters was shortened to the letter and "
        "a number? code = '{code}'",
    ],
)
