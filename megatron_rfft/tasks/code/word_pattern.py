"""Word Pattern: do letters and words stand for each other one to one? The length is the number of words."""

from random import Random
from string import ascii_lowercase

from megatron_rfft.tasks.registry import register
from megatron_rfft.tasks.words import OBJECTS


def word_pattern(pattern, words):
    if len(pattern) != len(words):
        return False
    word_of = {}
    letter_of = {}
    while words:
        word = words.pop(0)
        letter = pattern[0]
        pattern = pattern[1:]
        if word_of.get(letter, word) != word or letter_of.get(word, letter) != letter:
            return False
        word_of[letter] = word
        letter_of[word] = letter
    return True


def instance(rng: Random, length: int) -> tuple:
    kinds = rng.randint(1, min(26, length // 2 + 1))
    pairs = list(zip(rng.sample(ascii_lowercase, kinds), rng.sample(OBJECTS, kinds), strict=True))
    chosen = rng.choices(pairs, k=length)
    pattern, words = "".join(letter for letter, _ in chosen), [word for _, word in chosen]
    if rng.random() < 0.5:
        if length == 1 or rng.random() < 0.1:
            return pattern + rng.choice(pattern), words
        while reference(pattern, words):
            words[rng.randrange(length)] = rng.choice([*words, rng.choice(OBJECTS)])
    return pattern, words


def reference(pattern: str, words: list[str]) -> bool:
    return [pattern.index(letter) for letter in pattern] == [words.index(word) for word in words]


register(
    word_pattern,
    source="lc_290",
    role="pretrain",
    valid_lengths=range(1, 61),
    instance=instance,
    reference=reference,
    questions=[
        "Do the words follow the pattern '{pattern}'? They do if there are as many words as letters, equal letters "
        "stand for equal words and different letters for different words. words = {words}",
        "Can each letter of '{pattern}' be given a word of its own, different letters getting different words, so that "
        "the letters read one by one give exactly this list? words = {words}",
        "Is there a one-to-one match of letters and words that turns '{pattern}', letter by letter, into the whole "
        "list? words = {words}",
    ],
)
