"""Run-length encoding: each run of equal letters as letter and number. The length is the number of letters."""

from itertools import groupby
from random import Random

from megatron_rfft.tasks.registry import register


def sym_rle_encode(text):
    result = ""
    while text:
        letter = text[0]
        count = 0
        while text.startswith(letter):
            text = text[1:]
            count += 1
        result += letter + str(count)
    return result


def instance(rng: Random, length: int) -> tuple:
    repeating = rng.uniform(0.2, 0.7)
    text = rng.choice("abcdefgh")
    while len(text) < length:
        text += text[-1] if rng.random() < repeating else rng.choice("abcdefgh")
    return (text,)


def reference(text: str) -> str:
    return "".join(f"{letter}{len(list(run))}" for letter, run in groupby(text))


register(
    sym_rle_encode,
    source="sym_rle_encode",
    role="extra",
    valid_lengths=range(1, 61),
    instance=instance,
    reference=reference,
    questions=[
        "Write each run of equal letters as the letter and the number of times it stands there in a row, a 1 too. "
        "What does the text become? text = '{text}'",
        "Compress this text: 'aab' becomes 'a2b1', and so on for every run. text = '{text}'",
        "What is the run-length encoding of the text, each letter followed by its count, even if that is 1? "
        "text = '{text}'",
    ],
)
