"""Compare occurrence: is one letter more frequent than another? The length is the number of letters."""

from random import Random
from string import ascii_lowercase

from megatron_rfft.tasks.registry import register


def sym_compare_occurrence(text, one, other):
    difference = 0
    while text:
        if text[0] == one:
            difference += 1
        elif text[0] == other:
            difference -= 1
        text = text[1:]
    return difference > 0


def instance(rng: Random, length: int) -> tuple:
    """One letter is ahead by 1 or 2, or it is behind or equal; the rest are letters that do not count."""
    one, other, *rest = rng.sample(ascii_lowercase, 6)
    num_counted = rng.randint((length + 1) // 2, length)
    num_one = num_counted // 2 + 1 if rng.random() < 0.5 else (num_counted - rng.randint(0, 1)) // 2
    letters = one * num_one + other * (num_counted - num_one)
    letters += "".join(rng.choices(rest, k=length - num_counted))
    return "".join(rng.sample(letters, length)), one, other


def reference(text: str, one: str, other: str) -> bool:
    return text.count(one) > text.count(other)


register(
    sym_compare_occurrence,
    source="sym_compare_occurrence",
    role="extra",
    valid_lengths=range(1, 61),
    instance=instance,
    reference=reference,
    questions=[
        "Does the letter {one} occur more often than the letter {other} (not just as often)? text = '{text}'",
        "Is the number of {one}'s in this text greater than the number of {other}'s? text = '{text}'",
        "Every {one} is a vote for and every {other} a vote against; a tie is not enough. "
        "Does 'for' win? text = '{text}'",
    ],
)
