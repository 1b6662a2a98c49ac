"""Reformat The String: letters and digits in turn. The length is the length of the string."""

from itertools import zip_longest
from random import Random
from string import ascii_lowercase, digits

from megatron_rfft.tasks.letters import shuffled
from megatron_rfft.tasks.registry import register


def reformat_the_string(s):
    first = ""
    second = ""
    while s:
        if s[0].isalpha():
            first += s[0]
        else:
            second += s[0]
        s = s[1:]
    if abs(len(first) - len(second)) > 1:
        return ""
    if len(first) < len(second):
        first, second = second, first
    result = ""
    while first:
        result += first[0] + second[:1]
        first = first[1:]
        second = second[1:]
    return result


def instance(rng: Random, length: int) -> tuple:
    num_digits = rng.choice([length // 2, length - length // 2])
    if rng.random() < 0.25 and length > 1:
        num_digits = rng.choice([length // 2 - 1, length - length // 2 + 1])
    characters = rng.choices(digits, k=num_digits) + rng.choices(ascii_lowercase, k=length - num_digits)
    return (shuffled(rng, "".join(characters)),)


def reference(s: str) -> str:
    kinds = [[c for c in s if c in ascii_lowercase], [c for c in s if c in digits]]
    longer, shorter = sorted(kinds, key=len, reverse=True)
    if len(longer) - len(shorter) > 1:
        return ""
    return "".join(a + b for a, b in zip_longest(longer, shorter, fillvalue=""))


register(
    reformat_the_string,
    source="lc_1417",
    role="pretrain",
    valid_lengths=range(1, 61),
    instance=instance,
    reference=reference,
    questions=[
        "Rearrange '{s}' so that letters and digits take turns. Letters keep their order, and so do digits; the kind "
        "that there is more of comes first, letters if there are equally many. "
        "If no such arrangement exists, the answer is the empty string ''. What is the result?",
        "Make letters and digits of '{s}' alternate, each kind in its original order. Start with the more numerous "
        "kind, on a tie with a letter. Give the string, or '' if it can't be done.",
        "Weave the letters of '{s}' and its digits into one string in which no two letters and no two digits are "
        "neighbours. Neither changes its order, and the larger group leads (the letters, if the groups are equal). "
        "Which string is it? It is '' if one group is too large.",
    ],
)
