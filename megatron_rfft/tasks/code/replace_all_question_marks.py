"""Replace All ?'s: fill gaps so that no neighbours are equal. The length is the length of the string."""

from random import Random

from megatron_rfft.tasks.registry import register

LETTERS = "abcd"  # few, so that they meet the letters that fill the gaps


def replace_all_question_marks(s):
    result = ""
    while s:
        letter = s[0]
        s = s[1:]
        if letter == "?":
            neighbors = result[-1:] + s[:1]
            letter = "a"
            while letter in neighbors:
                letter = chr(ord(letter) + 1)
        result += letter
    return result


def instance(rng: Random, length: int) -> tuple:
    s = ""
    while len(s) < length:
        letter = rng.choice(LETTERS)
        s += "?" if rng.random() < 0.4 or s.endswith(letter) else letter
    return (s,)


def reference(s: str) -> str:
    letters = list(s)
    for i, letter in enumerate(letters):
        if letter == "?":
            letters[i] = min(set("abc") - set(letters[max(0, i - 1) : i + 2]))
    return "".join(letters)


register(
    replace_all_question_marks,
    source="lc_1576",
    role="pretrain",
    valid_lengths=range(1, 61),
    instance=instance,
    reference=reference,
    questions=[
        "Replace the question marks from left to right, each by the first letter of the alphabet that differs from "
        "the letter before it and from the letter after it, if there are any. What is the string then? s = '{s}'",
        "Fill each ? in this string, the leftmost one first, with the earliest letter (a before b before c) that "
        "equals neither the letter on its left nor one on its right; a ? still to be filled does not matter. s = '{s}'",
        "Go through the string from the left and turn every ? into a, or into b if an a is next to it on either side, "
        "or into c if both a and b are. Which string results? s = '{s}'",
    ],
)
