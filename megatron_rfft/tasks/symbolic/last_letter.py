"""Last letters: join the last letter of each word. The length is the number of words."""

from random import Random

from megatron_rfft.tasks.registry import register
from megatron_rfft.tasks.words import FEW_NAMES


def last_letter(words):
    result = ""
    while words:
        word = words.pop(0)
        result += word[-1]
    return result


def instance(rng: Random, length: int) -> tuple:
    return (rng.sample(FEW_NAMES, length),)


def reference(words: list[str]) -> str:
    return "".join(word[len(word) - 1] for word in words)


register(
    last_letter,
    source="sr_last_letter",
    role="pretrain",
    valid_lengths=range(1, 61),
    instance=instance,
    reference=reference,
    questions=[
        "Take the last letter of each word and join them in order. What do you get? words = {words}",
        "Which string do the final letters of these words spell, one after the other? words = {words}",
        "Write down how each word ends, one letter a word, without spaces. words = {words}",
    ],
)
