"""Maximum Value of a String in an Array: numbers by value, words by length. The length is the length of the list."""

from random import Random
from string import ascii_lowercase, digits

from megatron_rfft.tasks.registry import register


def maximum_value_of_a_string_in_an_array(strs):
    best = 0
    while strs:
        s = strs.pop(0)
        value = len(s)
        if s.isdigit():
            value = int(s)
        best = max(best, value)
    return best


def instance(rng: Random, length: int) -> tuple:
    largest = rng.choice([rng.randint(1, 9), rng.randint(10, 99)])
    longest = rng.randint(1, 9)
    return ([random_string(rng, largest, longest) for _ in range(length)],)


def random_string(rng: Random, largest: int, longest: int) -> str:
    """A number, sometimes with zeros in front of it; or letters, half of the time with a digit among them."""
    if rng.random() < 0.5:
        return rng.choice(["", "", "0", "00"]) + str(rng.randint(0, largest))
    letters = rng.choices(ascii_lowercase, k=rng.randint(1, longest))
    if len(letters) > 1 and rng.random() < 0.5:
        letters[rng.randrange(len(letters))] = rng.choice(digits)
    return "".join(letters)


def reference(strs: list[str]) -> int:
    return max(len(s) if set(s) & set(ascii_lowercase) else int(s) for s in strs)


register(
    maximum_value_of_a_string_in_an_array,
    source="lc_2496",
    role="pretrain",
    valid_lengths=range(1, 61),
    instance=instance,
    reference=reference,
    questions=[
        "A string of digits only is worth the number it spells (zeros in front do not matter); any other string is "
        "worth its number of characters. What is the greatest worth in the list? strs = {strs}",
        "Give each string a value: its length if there is a letter in it, otherwise its value as a decimal number. "
        "Which value is the largest? strs = {strs}",
        "What is the maximum over these strings, if a string made up of digits counts as that integer "
        "and one with a letter counts as its length? strs = {strs}",
    ],
)
