"""Bucket sort: sort the letters a to e by counting them. The length is the number of letters."""

from random import Random

from megatron_rfft.tasks.registry import register

LETTERS = "abcde"


def sym_bucket_sort(text):
    counts = {"a": 0, "b": 0, "c": 0, "d": 0, "e": 0}
    while text:
        counts[text[0]] += 1
        text = text[1:]
    letters = "abcde"
    result = ""
    while letters:
        count = counts[letters[0]]
        while count:
            result += letters[0]
            count -= 1
        letters = letters[1:]
    return result


def instance(rng: Random, length: int) -> tuple:
    weights = [rng.random() for _ in LETTERS]  # some letters are frequent, some may be missing
    return ("".join(rng.choices(LETTERS, weights, k=length)),)


def reference(text: str) -> str:
    return "".join(sorted(text))


register(
    sym_bucket_sort,
    source="sym_bucket_sort",
    role="extra",
    valid_lengths=range(1, 61),
    instance=instance,
    reference=reference,
    questions=[
        "Put the letters of this text into alphabetical order, keeping each as often as it occurs. text = '{text}'",
        "Which string has the same letters as this one, first every a, then every b, and so on? text = '{text}'",
        "Sort the letters of the text from a to e; none is lost. What comes out? text = '{text}'",
    ],
)
