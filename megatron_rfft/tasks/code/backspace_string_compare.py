"""Backspace String Compare: do two typed strings come out equal? The length is that of each string."""

from random import Random

from megatron_rfft.tasks.registry import register

LETTERS = "abcdefgh"


def lc_844(s, t):
    first = ""
    while s:
        if s[0] == "#":
            first = first[:-1]
        else:
            first += s[0]
        s = s[1:]
    second = ""
    while t:
        if t[0] == "#":
            second = second[:-1]
        else:
            second += t[0]
        t = t[1:]
    return first == second


def instance(rng: Random, length: int) -> tuple:
    text = "".join(rng.choices(LETTERS, k=rng.randint(max(1, length // 4), length)))
    other = rng.choice([text, spoilt(text)])
    return typed(rng, text, length), typed(rng, other, length)


def spoilt(text: str) -> str:
    """A text that differs in one letter, always the same one, so that yes and no stay even at length 1."""
    rng = Random(text)
    place = rng.randrange(len(text))
    letter = rng.choice(LETTERS.replace(text[place], "") + "#")
    return text[:place] + letter.replace("#", "") + text[place + 1 :]


def typed(rng: Random, text: str, length: int) -> str:
    """``length`` keys that write ``text``: with letters that are typed and deleted, and a backspace at the start."""
    while len(text) < length - 1:
        place = rng.randint(0, len(text))
        text = text[:place] + rng.choice(LETTERS) + "#" + text[place:]
    return "#" * (length - len(text)) + text


def reference(s: str, t: str) -> bool:
    return written(s) == written(t)


def written(keys: str) -> list[str]:
    """From the last key to the first, skipping a letter for each backspace."""
    letters, skip = [], 0
    for key in reversed(keys):
        if key == "#":
            skip += 1
        elif skip:
            skip -= 1
        else:
            letters.append(key)
    return letters


register(
    lc_844,
    source="lc_844",
    role="extra",
    version=2,
    valid_lengths=range(1, 61),
    instance=instance,
    symmetric=True,
    reference=reference,
    questions=[
        "The key # deletes the letter before it, and does nothing if there is none. "
        "Do these two sequences of keys write the same text? s = '{s}', t = '{t}'",
        "Two people type, each # being a press of backspace, which has no effect on an empty text. "
        "Do they end up with equal texts? s = '{s}', t = '{t}'",
        "In both strings # stands for erasing the last letter that is left so far, if any. "
        "Are the strings equal once all erasing is done? s = '{s}', t = '{t}'",
    ],
)
