"""Sequence of Strings Appeared on the Screen, typed with two keys. The length is the number of strings."""

from random import Random
from string import ascii_lowercase

from megatron_rfft.tasks.letters import next_letter
from megatron_rfft.tasks.registry import register


def sequence_of_strings_appeared_on_the_screen(target):
    screens = []
    text = ""
    while target:
        text += "a"
        screens.append(text)
        while text[-1] != target[0]:
            text = text[:-1] + chr(ord(text[-1]) + 1)
            screens.append(text)
        target = target[1:]
    return screens


def instance(rng: Random, length: int) -> tuple:
    """Press the keys ``length`` times; in some instances a new letter is rarer than in others."""
    appends = rng.uniform(0.2, 0.7)
    target = "a"
    for _ in range(length - 1):
        if target[-1] == "z" or rng.random() < appends:
            target += "a"
        else:
            target = target[:-1] + next_letter(target[-1])
    return (target,)


def reference(target: str) -> list[str]:
    return [
        target[:i] + typed
        for i, letter in enumerate(target)
        for typed in ascii_lowercase[: ascii_lowercase.index(letter) + 1]
    ]


register(
    sequence_of_strings_appeared_on_the_screen,
    source="lc_3324",
    role="held-out",
    valid_lengths=range(3, 61),  # below, a split would be left without an instance
    instance=instance,
    reference=reference,
    questions=[
        "A keyboard has two keys: one appends the letter a to the text on the screen, the other turns the last letter "
        "into the next one of the alphabet. Starting from an empty screen, '{target}' is typed with as few presses as "
        "possible. List the text on the screen after each press.",
        "To write '{target}' you begin with nothing and may only add an 'a' at the end or move the last letter one "
        "step on in the alphabet. Taking the shortest way, which strings do you see one after the other, "
        "from the first 'a' to the whole?",
        "Type '{target}' with a key for a new 'a' at the end and a key that advances the last letter by one, without a "
        "needless press. Give the list of all strings that appear, in order.",
    ],
)
