"""Counting Words With a Given Prefix: how many words begin with it? The length is the number of words."""

from random import Random
from string import ascii_lowercase

from megatron_rfft.tasks.registry import register


def counting_words_with_a_given_prefix(words, prefix):
    count = 0
    while words:
        word = words.pop(0)
        if word[: len(prefix)] == prefix:
            count += 1
    return count


def instance(rng: Random, length: int) -> tuple:
    """Words that begin with the prefix, as often as drawn, or with less of it."""
    prefix = "".join(rng.choices(ascii_lowercase, k=rng.randint(2, 3)))
    matching = rng.random()
    words = []
    while len(words) < length:
        start = prefix if rng.random() < matching else prefix[: rng.randrange(len(prefix))]
        words.append(start + "".join(rng.choices(ascii_lowercase, k=rng.randint(not start, 4))))
    return words, prefix


def reference(words: list[str], prefix: str) -> int:
    return sum(word.startswith(prefix) for word in words)


register(
    counting_words_with_a_given_prefix,
    source="lc_2185",
    role="pretrain",
    valid_lengths=range(1, 61),
    instance=instance,
    reference=reference,
    questions=[
        "How many of the words begin with '{prefix}'? The word '{prefix}' itself would count, too. words = {words}",
        "Count the words whose first letters are '{prefix}'. words = {words}",
        "In how many of these words is '{prefix}' a prefix, be it the whole word or only its start? words = {words}",
    ],
)
