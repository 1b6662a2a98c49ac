"""Minimum Additions to Make Valid String: letters missing from abcabc... The length is the length of the word."""

from itertools import pairwise
from random import Random

from megatron_rfft.tasks.registry import register


def minimum_additions_to_make_valid_string(word):
    additions = 0
    expected = 0
    while word:
        place = ord(word[0]) - 97
        additions += (place - expected) % 3
        expected = (place + 1) % 3
        word = word[1:]
    additions += (0 - expected) % 3
    return additions


def instance(rng: Random, length: int) -> tuple:
    """Each letter follows the one before it in abcabc... as often as drawn."""
    regular = rng.uniform(0, 0.7)
    word = rng.choice("abc")
    while len(word) < length:
        follower = "abc"["cab".index(word[-1])]
        word += follower if rng.random() < regular else rng.choice("abc")
    return (word,)


def reference(word: str) -> int:
    num_blocks = 1 + sum(second <= first for first, second in pairwise(word))
    return 3 * num_blocks - len(word)


register(
    minimum_additions_to_make_valid_string,
    source="lc_2645",
    role="pretrain",
    valid_lengths=range(1, 61),
    instance=instance,
    reference=reference,
    questions=[
        "At least how many letters have to be inserted, anywhere in the word '{word}', "
        "to make it abc repeated one or more times?",
        "What is the smallest number of letters that, put in at any places, turn '{word}' into abcabc...abc, "
        "that is, into one or more copies of abc in a row?",
        "The word '{word}' is what is left of abc written one or more times in a row, as few times as possible, "
        "after letters were deleted. How many letters were deleted?",
    ],
)
