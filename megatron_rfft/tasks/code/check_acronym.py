"""Check Acronym: do the first letters of words spell a string? The length is the number of words."""

from random import Random

from megatron_rfft.tasks.registry import register
from megatron_rfft.tasks.words import OBJECTS


def check_acronym(words, s):
    acronym = ""
    while words:
        word = words.pop(0)
        acronym += word[0]
    return acronym == s


def instance(rng: Random, length: int) -> tuple:
    """The acronym; half of the time with a letter changed, or seldom left out or put in: else lengths give it away."""
    words = rng.sample(OBJECTS, length)
    acronym = s = "".join(word[0] for word in words)
    if rng.random() < 0.5:
        while s == acronym:
            i = rng.randrange(length)
            letter = rng.choice(OBJECTS)[0]
            replacement = rng.choice(["", s[i] + letter, *[letter] * 10])
            s = acronym[:i] + replacement + acronym[i + 1 :]
    return words, s


def reference(words: list[str], s: str) -> bool:
    return len(words) == len(s) and all(word.startswith(letter) for word, letter in zip(words, s, strict=True))


register(
    check_acronym,
    source="lc_2828",
    role="pretrain",
    version=2,
    valid_lengths=range(1, 61),
    instance=instance,
    reference=reference,
    questions=[
        "Do the first letters of these words, joined in order, spell exactly '{s}'? words = {words}",
        "Is '{s}' the acronym of the words, made of the first letter of each in order? words = {words}",
        "Taking one letter from the front of each word, in order, do you get '{s}', with no letter missing, "
        "too many or different? words = {words}",
    ],
)
