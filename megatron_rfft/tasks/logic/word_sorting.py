"""Word sorting: words in alphabetical order. The length is the number of words."""

from random import Random

from megatron_rfft.tasks.registry import register
from megatron_rfft.tasks.words import OBJECTS


def word_sorting(words):
    # Halving the sorted words finds a word's place in the fewest steps: scanning them makes a trace half as long again.
    result = []
    while words:
        word = words.pop(0)
        low = 0
        high = len(result)
        while low < high:
            middle = (low + high) // 2
            if result[middle] < word:
                low = middle + 1
            else:
                high = middle
        result.insert(low, word)
    return result


def instance(rng: Random, length: int) -> tuple:
    return (rng.sample(OBJECTS, length),)


def reference(words: list[str]) -> list[str]:
    return sorted(words)


register(
    word_sorting,
    source="bbh_word_sorting",
    role="pretrain",
    valid_lengths=range(1, 41),  # beyond them a trace has more than 150,000 characters
    instance=instance,
    reference=reference,
    questions=[
        "Sort the words alphabetically. words = {words}",
        "Which list do you get if you put these words into the order of a dictionary? words = {words}",
        "Arrange the words from A to Z. words = {words}",
    ],
)
