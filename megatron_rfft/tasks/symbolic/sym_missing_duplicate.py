"""Missing duplicate: which letter is blank in a text written twice? The length is that of the text written once."""

from random import Random
from string import ascii_lowercase

from megatron_rfft.tasks.registry import register


def sym_missing_duplicate(text):
    half = len(text) // 2
    first = text[:half]
    second = text[half:]
    while first[0] != "_" and second[0] != "_":
        first = first[1:]
        second = second[1:]
    if first[0] == "_":
        return second[0]
    return first[0]


def instance(rng: Random, length: int) -> tuple:
    letters = rng.choices(ascii_lowercase, k=length) * 2
    letters[rng.randrange(2 * length)] = "_"
    return ("".join(letters),)


def reference(text: str) -> str:
    return text[text.index("_") - len(text) // 2]


register(
    sym_missing_duplicate,
    source="sym_missing_duplicate",
    role="extra",
    valid_lengths=range(1, 61),
    instance=instance,
    reference=reference,
    questions=[
        "A text was written twice in a row, then one letter was replaced by _. Which letter was it? text = '{text}'",
        "Both halves of this string are the same, but for one blank. Which letter belongs there? text = '{text}'",
        "What has to be put for _ so that the second half repeats the first? text = '{text}'",
    ],
)
