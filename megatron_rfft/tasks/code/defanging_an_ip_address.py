"""Defang an IP address, or any text with dots: put brackets around each dot. The length is the characters'."""

from random import Random

from megatron_rfft.tasks.registry import register


def lc_1108(address):
    result = ""
    while address:
        if address[0] == ".":
            result += "[.]"
        else:
            result += address[0]
        address = address[1:]
    return result


def instance(rng: Random, length: int) -> tuple:
    share = rng.uniform(0.1, 0.5)
    return ("".join("." if rng.random() < share else rng.choice("0123456789") for _ in range(length)),)


def reference(address: str) -> str:
    return "[.]".join(address.split("."))


register(
    lc_1108,
    source="lc_1108",
    role="extra",
    valid_lengths=range(1, 61),
    instance=instance,
    reference=reference,
    questions=[
        "Put square brackets around every dot of this address. address = '{address}'",
        "Replace each '.' by '[.]' and leave the rest alone. What does the string become? address = '{address}'",
        "To keep a program from taking it for a link, each point of this string is put in square brackets. How is it "
        "written then? address = '{address}'",
    ],
)
