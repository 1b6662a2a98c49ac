"""Verifying an Alien Dictionary: are words in the order of another alphabet? The length is the number of words."""

from itertools import pairwise
from random import Random
from string import ascii_lowercase

from megatron_rfft.tasks.registry import register

NUM_LETTERS = 6
LONGEST_WORD = 4


def verifying_an_alien_dictionary(words, order):
    ranks = {}
    while order:
        ranks[order[0]] = len(ranks)
        order = order[1:]
    while len(words) > 1:
        first = words.pop(0)
        second = words[0]
        while first and second and first[0] == second[0]:
            first = first[1:]
            second = second[1:]
        if first and (not second or ranks[first[0]] > ranks[second[0]]):
            return False
    return True


def instance(rng: Random, length: int) -> tuple:
    """Sorted words, half of the time with two different neighbours exchanged."""
    order = rng.sample(ascii_lowercase, NUM_LETTERS)
    is_sorted = rng.random() < 0.5
    while True:
        words = ["".join(rng.choices(order, k=rng.randint(1, LONGEST_WORD))) for _ in range(length)]
        words.sort(key=lambda word: [order.index(letter) for letter in word])
        steps = [i for i in range(1, length) if words[i - 1] != words[i]]
        if is_sorted:
            return words, "".join(order)
        if steps:
            i = rng.choice(steps)
            words[i - 1], words[i] = words[i], words[i - 1]
            return words, "".join(order)


def reference(words: list[str], order: str) -> bool:
    translated = [word.translate(str.maketrans(order, ascii_lowercase[: len(order)])) for word in words]
    return all(first <= second for first, second in pairwise(translated))


register(
    verifying_an_alien_dictionary,
    source="lc_953",
    role="pretrain",
    valid_lengths=range(2, 61),  # one word is always in order
    instance=instance,
    reference=reference,
    questions=[
        "The alphabet of a foreign language is '{order}', in this order. Are these words in its dictionary order? "
        "Where one word begins with another, the shorter one comes first; equal words may follow each other. "
        "words = {words}",
        "Suppose that the letters are ordered as in '{order}'. Is the list sorted alphabetically, given that a word "
        "comes before its own extensions and that equal words may stand next to each other? words = {words}",
        "Compare words letter by letter by the alphabet '{order}', a missing letter being smaller than any other. "
        "Is no word of the list greater than the next one? words = {words}",
    ],
)
