"""Add Binary: the sum of two binary numbers. The length is the longer one's number of bits."""

from random import Random

from megatron_rfft.tasks.registry import register


def lc_67(a, b):
    result = ""
    carry = 0
    while a or b or carry:
        total = carry
        if a:
            total += int(a[-1])
            a = a[:-1]
        if b:
            total += int(b[-1])
            b = b[:-1]
        result = str(total % 2) + result
        carry = total // 2
    return result


def instance(rng: Random, length: int) -> tuple:
    shorter = rng.choice([length, rng.randint(1, length)])
    pair = [random_bits(rng, length), random_bits(rng, shorter)]
    rng.shuffle(pair)
    return tuple(pair)


def random_bits(rng: Random, length: int) -> str:
    return f"{rng.randrange(2 ** (length - 1) if length > 1 else 0, 2**length):b}"


def reference(a: str, b: str) -> str:
    return f"{int(a, 2) + int(b, 2):b}"


register(
    lc_67,
    source="lc_67",
    role="extra",
    version=2,
    valid_lengths=range(1, 61),
    instance=instance,
    symmetric=True,
    reference=reference,
    questions=[
        "What is the sum of the binary numbers {a} and {b}, in binary?",
        "Add {a} and {b} in base 2 and write the result in base 2, too.",
        "Both {a} and {b} are written with the digits 0 and 1 of the binary system. What is {a} + {b} in that system?",
    ],
)
