"""Maximum Nesting Depth: within how many parentheses at most? The length is the number of characters."""

from random import Random

from megatron_rfft.tasks.registry import register


def lc_1614(text):
    depth = 0
    deepest = 0
    while text:
        if text[0] == "(":
            depth += 1
            deepest = max(deepest, depth)
        elif text[0] == ")":
            depth -= 1
        text = text[1:]
    return deepest


def instance(rng: Random, length: int) -> tuple:
    """Parentheses make up two to four fifths of the text, letters the rest."""
    num_pairs = rng.randint(length // 5, (length + 1) * 2 // 5)
    opening = rng.uniform(0.4, 0.9)
    text, depth = "", 0
    while num_pairs or depth:
        if num_pairs and (not depth or rng.random() < opening):
            text, depth, num_pairs = text + "(", depth + 1, num_pairs - 1
        else:
            text, depth = text + ")", depth - 1
    while len(text) < length:
        place = rng.randint(0, len(text))
        text = text[:place] + rng.choice("xyz") + text[place:]
    return (text,)


def reference(text: str) -> int:
    """How often all innermost parentheses can be taken away."""
    brackets = "".join(letter for letter in text if letter in "()")
    depth = 0
    while brackets:
        brackets = brackets.replace("()", "")
        depth += 1
    return depth


register(
    lc_1614,
    source="lc_1614",
    role="extra",
    valid_lengths=range(1, 61),
    instance=instance,
    reference=reference,
    questions=[
        "How many pairs of parentheses at most lie inside one another in this text, 0 if it has none? text = '{text}'",
        "What is the greatest number of parentheses that are open at the same time, reading from the left? "
        "text = '{text}'",
        "How deep is the deepest place of the text nested in parentheses, depth 0 being outside all? text = '{text}'",
    ],
)
