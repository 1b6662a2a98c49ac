"""Reverse Words in a String III: each word backwards, in its place. The length is the length of the string."""

from random import Random
from string import ascii_lowercase

from megatron_rfft.tasks.letters import replace_at
from megatron_rfft.tasks.registry import register


def reverse_words_in_a_string_iii(s):
    result = ""
    word = ""
    while s:
        if s[0] == " ":
            result += word + " "
            word = ""
        else:
            word = s[0] + word
        s = s[1:]
    return result + word


def instance(rng: Random, length: int) -> tuple:
    s = "".join(rng.choices(ascii_lowercase, k=length))
    place = rng.randint(1, 6)
    while place < length - 1:
        s = replace_at(s, place, " ")
        place += rng.randint(2, 7)
    return (s,)


def reference(s: str) -> str:
    return " ".join(word[::-1] for word in s.split())


register(
    reverse_words_in_a_string_iii,
    source="lc_557",
    role="pretrain",
    valid_lengths=range(1, 61),
    instance=instance,
    reference=reference,
    questions=[
        "Write each word of '{s}' backwards, the words staying in their order. What do you get?",
        "Reverse the letters within every word of '{s}' and keep the spaces and the order of the words.",
        "How does '{s}' read if every single word is spelled from its last letter to its first?",
    ],
)
