"""Roman to Integer: the value of a string of Roman digits. The length is the number of letters.

Proper numerals have 15 letters at most. Here any letters may follow one another, and the rule of subtraction alone
says what they are worth, so that the task goes on at any length.
"""

from random import Random

from megatron_rfft.tasks.registry import register

LETTERS = "The letters are worth I=1, V=5, X=10, L=50, C=100, D=500 and M=1000. "


def lc_13(numeral):
    values = {"I": 1, "V": 5, "X": 10, "L": 50, "C": 100, "D": 500, "M": 1000}
    total = 0
    while numeral:
        value = values[numeral[0]]
        numeral = numeral[1:]
        if numeral and value < values[numeral[0]]:
            total -= value
        else:
            total += value
    return total


def instance(rng: Random, length: int) -> tuple:
    return ("".join(rng.choices("IVXLCDM", k=length)),)


def reference(numeral: str) -> int:
    """Backwards, from powers of ten: every second letter is worth five times the one before it."""
    total = after = 0
    for letter in reversed(numeral):
        power, is_five = divmod("IVXLCDM".index(letter), 2)
        value = 10**power * (5 if is_five else 1)
        total += value if value >= after else -value
        after = value
    return total


register(
    lc_13,
    source="lc_13",
    role="extra",
    valid_lengths=range(1, 61),
    instance=instance,
    reference=reference,
    questions=[
        LETTERS + "A letter right before one of greater value is subtracted, any other is added. "
        "What is the total, even if this is no proper Roman numeral? numeral = '{numeral}'",
        "Read these letters like a Roman numeral, though they may stand in any order: each counts with its value, "
        "negative if the very next letter is worth more. " + LETTERS + "Which number results? numeral = '{numeral}'",
        LETTERS + "Add up the letters below, but subtract each one that is directly followed by a letter worth more. "
        "What do you get? numeral = '{numeral}'",
    ],
)
