"""Valid Palindrome: do the letters and digits read the same backwards? The length is half the string's."""

from random import Random
from string import ascii_letters, digits

from megatron_rfft.tasks.letters import replace_at
from megatron_rfft.tasks.registry import register


def valid_palindrome(s):
    while s:
        if not s[0].isalnum():
            s = s[1:]
        elif not s[-1].isalnum():
            s = s[:-1]
        elif s[0].lower() != s[-1].lower():
            return False
        else:
            s = s[1:-1]
    return True


def instance(rng: Random, length: int) -> tuple:
    num_characters = rng.randint(length + 1, 2 * length)  # the rest are spaces and punctuation
    half = "".join(rng.choices(ascii_letters + digits, k=num_characters // 2))
    middle = rng.choice(ascii_letters + digits)[: num_characters % 2]
    s = half + middle + half[::-1]
    if rng.random() < 0.5:
        while reference(s):
            s = replace_at(s, rng.randrange(num_characters), rng.choice(s + rng.choice(ascii_letters + digits)))
    s = "".join(rng.choice([c.lower(), c.upper()]) if rng.random() < 0.3 else c for c in s)
    while len(s) < 2 * length:
        place = rng.randint(0, len(s))
        s = s[:place] + rng.choice("  ,.;:!?-") + s[place:]
    return (s,)


def reference(s: str) -> bool:
    kept = [character for character in s.casefold() if character.isalnum()]
    return kept == kept[::-1]


register(
    valid_palindrome,
    source="lc_125",
    role="held-out",
    valid_lengths=range(1, 61),
    instance=instance,
    reference=reference,
    questions=[
        "Leave out everything but letters and digits, and take capitals as small letters: "
        "does '{s}' then read the same forwards and backwards?",
        "Is '{s}' a palindrome, if spaces, punctuation and the difference between capital and small letters are "
        "ignored?",
        "Looking only at its letters (in any case) and digits, is '{s}' the same from the left as from the right?",
    ],
)
