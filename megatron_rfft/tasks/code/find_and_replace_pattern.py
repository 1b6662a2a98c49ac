"""Find and Replace Pattern: words that are a pattern in other letters. The length is the number of words."""

from random import Random
from string import ascii_lowercase

from megatron_rfft.tasks.registry import register


def find_and_replace_pattern(words, pattern):
    matches = []
    wanted = ""
    words.insert(0, pattern)  # the shape of the first word is the one that the others need
    while words:
        word = words.pop(0)
        rest = word
        numbers = {}
        shape = ""
        while rest:
            if rest[0] not in numbers:
                numbers[rest[0]] = str(len(numbers))
            shape += numbers[rest[0]]
            rest = rest[1:]
        if not wanted:
            wanted = shape
        elif shape == wanted:
            matches.append(word)
    return matches


def instance(rng: Random, length: int) -> tuple:
    """Words that match, or would if one letter were another."""
    letters = rng.sample(ascii_lowercase, 3)
    pattern = "".join(rng.choices(letters, k=rng.randint(2, 3)))
    return [random_word(rng, pattern, matches=rng.random() < 0.5) for _ in range(length)], pattern


def random_word(rng: Random, pattern: str, matches: bool) -> str:
    word = pattern.translate(str.maketrans(dict(zip(pattern, rng.sample(ascii_lowercase, len(pattern)), strict=True))))
    while bool(reference([word], pattern)) != matches:
        i = rng.randrange(len(word))
        word = word[:i] + rng.choice([*word, rng.choice(ascii_lowercase)]) + word[i + 1 :]
    return word


def reference(words: list[str], pattern: str) -> list[str]:
    return [word for word in words if list(map(word.index, word)) == list(map(pattern.index, pattern))]


register(
    find_and_replace_pattern,
    source="lc_890",
    role="pretrain",
    valid_lengths=range(1, 61),
    instance=instance,
    reference=reference,
    questions=[
        "Which words turn into '{pattern}' if each letter is replaced by one of your choice, always the same letter "
        "by the same one and different letters by different ones? List them in order. words = {words}",
        "A word fits the pattern '{pattern}' if its letters are equal exactly where the pattern's letters are equal, "
        "and different where those are different. Give the words that fit, in order. words = {words}",
        "Read '{pattern}' as a code in which every letter stands for one letter, and no two for the same. "
        "Pick out, in their order, the words that it can stand for. words = {words}",
    ],
)
