"""Addition in base 9. The length is the longer one's number of digits."""

from random import Random

from megatron_rfft.tasks.registry import register


def number_base9_add(num1, num2):
    result = ""
    carry = 0
    while num1 or num2 or carry:
        total = carry
        if num1:
            total += int(num1[-1])
            num1 = num1[:-1]
        if num2:
            total += int(num2[-1])
            num2 = num2[:-1]
        result = str(total % 9) + result
        carry = total // 9
    return result


def instance(rng: Random, length: int) -> tuple:
    shorter = rng.choice([length, rng.randint(1, length)])
    pair = [random_numeral(rng, length), random_numeral(rng, shorter)]
    rng.shuffle(pair)
    return tuple(pair)


def random_numeral(rng: Random, length: int) -> str:
    """Without a leading zero, unless it is the only digit."""
    return rng.choice("12345678" if length > 1 else "012345678") + "".join(rng.choices("012345678", k=length - 1))


def reference(num1: str, num2: str) -> str:
    total = int(num1, 9) + int(num2, 9)
    digits = ""
    while total or not digits:
        total, digit = divmod(total, 9)
        digits = f"{digit}{digits}"
    return digits


register(
    number_base9_add,
    source="number_base9_add",
    role="extra",
    version=2,
    valid_lengths=range(1, 61),
    instance=instance,
    symmetric=True,
    reference=reference,
    questions=[
        "Add {num1} and {num2}, which are numbers in base 9, and give the sum in base 9.",
        "In a country that counts with the digits 0 to 8 only, 8 + 1 is written 10. What is {num1} + {num2} there?",
        "What is the sum of the base-9 numbers {num1} and {num2}, written in base 9 as well?",
    ],
)
