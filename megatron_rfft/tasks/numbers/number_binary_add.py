"""Addition of binary numerals that are written lowest bit first. The length is the longer one's number of bits."""

from random import Random

from megatron_rfft.tasks.registry import register


def number_binary_add(num1, num2):
    result = ""
    carry = 0
    while num1 or num2 or carry:
        total = carry
        if num1:
            total += int(num1[0])
            num1 = num1[1:]
        if num2:
            total += int(num2[0])
            num2 = num2[1:]
        result += str(total % 2)
        carry = total // 2
    return result


def instance(rng: Random, length: int) -> tuple:
    shorter = rng.choice([length, rng.randint(1, length)])
    pair = [random_numeral(rng, length), random_numeral(rng, shorter)]
    rng.shuffle(pair)
    return tuple(pair)


def random_numeral(rng: Random, length: int) -> str:
    """Its last bit, the highest, is 1, unless it is the only one."""
    return "".join(rng.choices("01", k=length - 1)) + ("1" if length > 1 else rng.choice("01"))


def reference(num1: str, num2: str) -> str:
    total = int(num1[::-1], 2) + int(num2[::-1], 2)
    return f"{total:b}"[::-1]


register(
    number_binary_add,
    source="number_binary_add",
    role="extra",
    version=2,
    valid_lengths=range(1, 61),
    instance=instance,
    symmetric=True,
    reference=reference,
    questions=[
        "Here binary numbers are written backwards, the bit for 1 first, then those for 2, 4, 8 and so on. Write "
        "{num1} + {num2} in the same way.",
        "Add the binary numbers {num1} and {num2}, whose lowest bit stands on the left and whose highest on the "
        "right. Put the sum down in this order of bits as well.",
        "In {num1} and {num2} the first bit counts 1 and each further bit twice as much as the one before it. What is "
        "their sum in this notation, ending in its highest bit?",
    ],
)
