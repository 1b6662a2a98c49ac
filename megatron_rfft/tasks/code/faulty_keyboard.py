"""Faulty Keyboard: the key i reverses what stands on the screen. The length is the number of keys pressed."""

from random import Random
from string import ascii_lowercase

from megatron_rfft.tasks.registry import register


def faulty_keyboard(keys):
    screen = ""
    while keys:
        if keys[0] == "i":
            screen = screen[::-1]
        else:
            screen += keys[0]
        keys = keys[1:]
    return screen


def instance(rng: Random, length: int) -> tuple:
    """One reversal, as in the paper; a single key is any letter."""
    keys = rng.choices(ascii_lowercase.replace("i", ""), k=length)
    if length > 1 or rng.random() < 0.1:
        keys[rng.randrange(length)] = "i"
    return ("".join(keys),)


def reference(keys: str) -> str:
    first, *others = keys.split("i")
    screen = first
    for typed in others:
        screen = "".join(reversed(screen)) + typed
    return screen


register(
    faulty_keyboard,
    source="lc_2810",
    role="pretrain",
    valid_lengths=range(1, 61),
    instance=instance,
    reference=reference,
    questions=[
        "On a broken keyboard the key i writes nothing but turns round all the text written so far. "
        "What stands on the screen after these keys? keys = '{keys}'",
        "Type the letters one after the other. An i is not written: it reverses the text on the screen instead. "
        "How does the text end up? keys = '{keys}'",
        "Every letter is added to the end of the text, except i, which flips the whole text back to front. "
        "Which text do these key presses make? keys = '{keys}'",
    ],
)
