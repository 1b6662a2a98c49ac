"""Keyboard Row: which words need one row of the keyboard only? The length is the number of words."""

from random import Random

from megatron_rfft.tasks.registry import register

ROWS = ("qwertyuiop", "asdfghjkl", "zxcvbnm")


def keyboard_row(words):
    result = []
    while words:
        word = words.pop(0)
        rest = word.lower()
        row = "zxcvbnm"
        if rest[0] in "qwertyuiop":
            row = "qwertyuiop"
        elif rest[0] in "asdfghjkl":
            row = "asdfghjkl"
        while rest and rest[0] in row:
            rest = rest[1:]
        if rest == "":
            result.append(word)
    return result


def instance(rng: Random, length: int) -> tuple:
    return ([random_typed_word(rng) for _ in range(length)],)


def random_typed_word(rng: Random) -> str:
    """Letters of one row, in every second word with one of any other row somewhere; some with a capital."""
    row, other, _ = rng.sample(ROWS, 3)
    letters = rng.choices(row, k=rng.randint(2, 5))
    if rng.random() < 0.5:
        letters[rng.randrange(len(letters))] = rng.choice(other)
    word = "".join(letters)
    return word.capitalize() if rng.random() < 0.2 else word


def reference(words: list[str]) -> list[str]:
    return [word for word in words if any(set(word.lower()) <= set(row) for row in ROWS)]


register(
    keyboard_row,
    source="lc_500",
    role="pretrain",
    valid_lengths=range(1, 61),
    instance=instance,
    reference=reference,
    questions=[
        "The rows of a keyboard are qwertyuiop, asdfghjkl and zxcvbnm. Which of these words can be typed with the "
        "letters of a single row, whether capital or not? Keep their order and spelling. words = {words}",
        "List the words that need only one of the keyboard rows qwertyuiop, asdfghjkl, zxcvbnm; a capital is on the "
        "same key as the small letter. words = {words}",
        "Keep each word, as it is written, whose letters all lie in the same row of a keyboard with the rows "
        "qwertyuiop, asdfghjkl and zxcvbnm. Capitals count as their small letters. Which list is left? words = {words}",
    ],
)
