"""Count bits: how many ones are in a binary numeral? The length is the number of bits, zeros in front included."""

from random import Random

from megatron_rfft.tasks.registry import register


def number_count_bits(bits):
    count = 0
    while bits:
        if bits[0] == "1":
            count += 1
        bits = bits[1:]
    return count


def instance(rng: Random, length: int) -> tuple:
    share = rng.uniform(0.2, 0.8)
    return ("".join("1" if rng.random() < share else "0" for _ in range(length)),)


def reference(bits: str) -> int:
    return int(bits, 2).bit_count()


register(
    number_count_bits,
    source="number_count_bits",
    role="extra",
    valid_lengths=range(2, 61),
    instance=instance,
    reference=reference,
    questions=[
        "How many ones are in the binary number {bits}?",
        "Count the bits of {bits} that are set, that is, equal to 1.",
        "In the string of bits {bits}, how often does 1 occur?",
    ],
)
