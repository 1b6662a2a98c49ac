"""About how many tokens a text takes, without a tokenizer: to keep documents within a budget, and for statistics."""

import re
from collections import Counter

# Qwen2's pre-tokenizer for ASCII text (a word with what precedes it, single digits, runs of punctuation, spaces), with
# long words and runs cut where byte-pair merges mostly end.
_PIECE = re.compile(r"[^\r\nA-Za-z0-9]?[A-Za-z]{1,5}|[0-9]| ?[^\sA-Za-z0-9]{1,4}[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")


def estimate_tokens(text: str) -> int:
    """The tokens that Qwen2.5's tokenizer makes of a prompt or trace, mostly within 10 % (in sum over all tasks, 1 %).

    Short texts with long words take up to 20 % less, strings of random letters up to 40 % more.
    """
    lines = text.split("\n")
    if "\r" in text or any(line == "" or line.isspace() for line in lines[:-1]):
        return len(_PIECE.findall(text))
    counts = Counter(lines[:-1])  # no piece goes on behind the end of a line: each different line is looked at once
    found = sum(len(_PIECE.findall(f"{line}\n")) * number for line, number in counts.items())
    return found + len(_PIECE.findall(lines[-1]))
