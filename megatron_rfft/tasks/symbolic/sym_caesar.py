"""Caesar cipher: shift every letter back in the alphabet. The length is the number of letters."""

from random import Random
from string import ascii_lowercase

from megatron_rfft.tasks.registry import register


def sym_caesar(text, shift):
    result = ""
    while text:
        place = (ord(text[0]) - ord("a") - shift) % 26
        result += chr(ord("a") + place)
        text = text[1:]
    return result


def instance(rng: Random, length: int) -> tuple:
    return "".join(rng.choices(ascii_lowercase, k=length)), rng.randint(1, 25)


def reference(text: str, shift: int) -> str:
    plain = ascii_lowercase[-shift:] + ascii_lowercase[:-shift]
    return text.translate(str.maketrans(ascii_lowercase, plain))


register(
    sym_caesar,
    source="sym_caesar",
    role="extra",
    version=2,
    valid_lengths=range(1, 61),
    instance=instance,
    reference=reference,
    questions=[
        "Each letter of a message was moved forward by {shift} in the alphabet, from z on to a. What was the "
        "message? text = '{text}'",
        "Decode this Caesar cipher: go back by {shift} from each letter, z coming before a. text = '{text}'",
        "Move every letter back by {shift} in the alphabet, which starts over from z when you pass a. What do "
        "you get? text = '{text}'",
    ],
)
