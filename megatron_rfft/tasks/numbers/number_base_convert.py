"""Binary to hexadecimal, four bits at a time. The length is the number of bits."""

from random import Random

from megatron_rfft.tasks.registry import register


def number_base_convert(bits):
    digits = "0123456789abcdef"
    result = ""
    while bits:
        group = bits[-4:]
        bits = bits[:-4]
        value = 0
        while group:
            value = 2 * value + int(group[0])
            group = group[1:]
        result = digits[value] + result
    return result


def instance(rng: Random, length: int) -> tuple:
    return ("1" + "".join(rng.choices("01", k=length - 1)),)


def reference(bits: str) -> str:
    return f"{int(bits, 2):x}"


register(
    number_base_convert,
    source="number_base_convert",
    role="extra",
    valid_lengths=range(3, 61),
    instance=instance,
    reference=reference,
    questions=[
        "Write the binary number {bits} in base 16, with small letters for the digits above 9.",
        "What is {bits}, a number in base 2, in hexadecimal digits 0-9 and a-f?",
        "Convert {bits} from binary to hexadecimal; 10 to 15 are written a to f.",
    ],
)
