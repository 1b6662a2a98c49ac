"""Letter counting: how often does a letter occur in a row of words? The length is the number of words."""

from random import Random

from megatron_rfft.tasks.registry import register
from megatron_rfft.tasks.words import FEW_OBJECTS


def sym_letter_counting(words, letter):
    count = 0
    while words:
        word = words.pop(0)
        while word:
            if word[0] == letter:
                count += 1
            word = word[1:]
    return count


def instance(rng: Random, length: int) -> tuple:
    words = rng.sample(FEW_OBJECTS, length)
    return words, rng.choice("".join(words))


def reference(words: list[str], letter: str) -> int:
    return " ".join(words).count(letter)


register(
    sym_letter_counting,
    source="sym_letter_counting",
    role="extra",
    valid_lengths=range(1, 36),
    instance=instance,
    reference=reference,
    questions=[
        "How many times is the letter {letter} written in these words, all taken together? words = {words}",
        "Count every {letter} in the words of this list. words = {words}",
        "In spelling out all these words, how often do you need the letter {letter}? words = {words}",
    ],
)
