"""String Halves Are Alike: have both halves as many vowels? The length is the length of one half."""

from random import Random
from string import ascii_letters

from megatron_rfft.tasks.registry import register

VOWELS = "AEIOUaeiou"
CONSONANTS = [letter for letter in ascii_letters if letter not in VOWELS]


def string_halves_are_alike(s):
    half = len(s) // 2
    left = s[:half]
    right = s[half:]
    balance = 0
    while left:
        if left[0] in "AEIOUaeiou":
            balance += 1
        if right[0] in "AEIOUaeiou":
            balance -= 1
        left = left[1:]
        right = right[1:]
    return balance == 0


def instance(rng: Random, length: int) -> tuple:
    """The halves have equally many vowels, or differ by one."""
    numbers = [rng.randint(0, length)] * 2
    if rng.random() < 0.5:
        numbers[1] = rng.choice([number for number in (numbers[0] - 1, numbers[0] + 1) if 0 <= number <= length])
    rng.shuffle(numbers)
    return ("".join(random_half(rng, length, number) for number in numbers),)


def random_half(rng: Random, length: int, num_vowels: int) -> str:
    letters = rng.choices(VOWELS, k=num_vowels) + rng.choices(CONSONANTS, k=length - num_vowels)
    rng.shuffle(letters)
    return "".join(letters)


def reference(s: str) -> bool:
    numbers = [sum(half.lower().count(vowel) for vowel in "aeiou") for half in (s[: len(s) // 2], s[len(s) // 2 :])]
    return numbers[0] == numbers[1]


register(
    string_halves_are_alike,
    source="lc_1704",
    role="pretrain",
    valid_lengths=range(1, 61),
    instance=instance,
    reference=reference,
    questions=[
        "Cut the string in the middle. Do both halves contain equally many vowels "
        "(a, e, i, o, u, small or capital)? s = '{s}'",
        "Is the number of vowels in the first half of this string the same as in the second half? "
        "The vowels are aeiou and AEIOU. s = '{s}'",
        "Count the letters among AEIOUaeiou in the left half and in the right half of the string. "
        "Are the two counts equal? s = '{s}'",
    ],
)
