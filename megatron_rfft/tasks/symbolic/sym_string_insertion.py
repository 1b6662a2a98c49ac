"""String insertion: put a letter behind each occurrence of a pair. The length is the number of letters."""

from random import Random

from megatron_rfft.tasks.registry import register


def sym_string_insertion(text, pair, letter):
    result = ""
    while text:
        if text[:2] == pair:
            result += pair + letter
            text = text[2:]
        else:
            result += text[0]
            text = text[1:]
    return result


def instance(rng: Random, length: int) -> tuple:
    pair = "".join(rng.choices("abcd", k=2))
    share = rng.uniform(0, 0.5)
    text = ""
    while len(text) < length:
        text += pair if rng.random() < share else rng.choice("abcd")
    return text[:length], pair, rng.choice("abcd")


def reference(text: str, pair: str, letter: str) -> str:
    return text.replace(pair, pair + letter)


register(
    sym_string_insertion,
    source="sym_string_insertion",
    role="extra",
    valid_lengths=range(1, 61),
    instance=instance,
    reference=reference,
    questions=[
        "Go through the text from left to right and insert '{letter}' behind each '{pair}'. Occurrences do not "
        "overlap, and inserted letters do not count. What is the new text? text = '{text}'",
        "Replace every '{pair}' of the text, from the left and without overlaps, by '{pair}' followed by '{letter}'. "
        "How does it read then? text = '{text}'",
        "Wherever the text has '{pair}', the letter '{letter}' is added right after it. The pairs are found from the "
        "left, each letter of the text belonging to one pair at most. Give the result. text = '{text}'",
    ],
)
