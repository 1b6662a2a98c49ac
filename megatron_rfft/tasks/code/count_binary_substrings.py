"""Count Binary Substrings: zeros, then as many ones, or the other way round. The length is the number of bits."""

from itertools import groupby, pairwise
from random import Random

from megatron_rfft.tasks.registry import register


def lc_696(bits):
    count = 0
    previous = 0
    run = 0
    last = ""
    while bits:
        if bits[0] != last:
            previous = run
            run = 0
            last = bits[0]
        run += 1
        if run <= previous:
            count += 1
        bits = bits[1:]
    return count


def instance(rng: Random, length: int) -> tuple:
    repeating = rng.uniform(0.3, 0.8)
    bits = rng.choice("01")
    while len(bits) < length:
        bits += bits[-1] if rng.random() < repeating else "10"[int(bits[-1])]
    return (bits,)


def reference(bits: str) -> int:
    runs = [len(list(run)) for _, run in groupby(bits)]
    return sum(map(min, pairwise(runs)))


register(
    lc_696,
    source="lc_696",
    role="extra",
    valid_lengths=range(2, 61),
    instance=instance,
    reference=reference,
    questions=[
        "How many pieces of this string consist of some zeros followed by just as many ones, or of some ones followed "
        "by just as many zeros? Equal pieces at different places all count. bits = '{bits}'",
        "Count the substrings in which all zeros stand together, all ones stand together and there are equally many "
        "of both, each occurrence by itself. bits = '{bits}'",
        "At how many pairs of start and end does the string have a piece like 01, 10, 0011, 1100, 000111 and so on? "
        "bits = '{bits}'",
    ],
)
