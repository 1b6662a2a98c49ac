"""Longest Balanced Substring: zeros, then as many ones. The length is the length of the binary string."""

from random import Random

from megatron_rfft.tasks.registry import register


def longest_balanced_substring(s):
    best = 0
    zeros = 0
    ones = 0
    while s:
        if s[0] == "1":
            ones += 1
            best = max(best, 2 * min(zeros, ones))
        elif ones:
            zeros = 1
            ones = 0
        else:
            zeros += 1
        s = s[1:]
    return best


def instance(rng: Random, length: int) -> tuple:
    """Any bits, with a balanced substring put among them, less than half as long as all."""
    half = rng.randint(0, max(0, length // 4 - 1))
    bits = rng.choices("01", k=length - 2 * half)
    place = rng.randint(0, len(bits))
    return ("".join([*bits[:place], "0" * half, "1" * half, *bits[place:]]),)


def reference(s: str) -> int:
    return max(2 * half for half in range(len(s) // 2 + 1) if "0" * half + "1" * half in s)


register(
    longest_balanced_substring,
    source="lc_2609",
    role="pretrain",
    valid_lengths=range(2, 61),  # one bit: too few instances to split, and nothing to find
    instance=instance,
    reference=reference,
    questions=[
        "A substring is balanced if it consists of zeros and after them equally many ones; the empty one is balanced. "
        "How long is the longest balanced substring? s = '{s}'",
        "Look for 01, 0011, 000111 and so on inside this string. "
        "What is the length of the longest of them that occurs, or 0 if none does? s = '{s}'",
        "Find the longest stretch of the string in which some zeros come first and exactly as many ones after them. "
        "What is its length (0 if there is no such stretch)? s = '{s}'",
    ],
)
