"""Climbing stairs with broken steps: in how many ways, modulo a number? The length is the number of steps."""

from random import Random

from megatron_rfft.tasks.registry import register


def alg_climb_stairs(stairs, modulus):
    before = 0
    ways = 1
    while stairs:
        if stairs[0] == "x":
            before, ways = ways, 0
        else:
            before, ways = ways, (before + ways) % modulus
        stairs = stairs[1:]
    return ways


def instance(rng: Random, length: int) -> tuple:
    """No two broken steps in a row, which nobody could pass, and none at the top."""
    broken = rng.uniform(0.1, 0.4)
    stairs = "="
    while len(stairs) < length:
        stairs = ("x" if stairs[0] == "=" and rng.random() < broken else "=") + stairs
    return stairs, rng.randint(20, 99)


def reference(stairs: str, modulus: int) -> int:
    """Whole stretches between broken steps: each is climbed on its own, from its first step to its last."""
    ways = 1
    for number, stretch in enumerate(stairs.split("x")):
        one, other = 1, 1
        for _ in range(len(stretch) - (number > 0)):
            one, other = other, one + other
        ways *= one
    return ways % modulus


register(
    alg_climb_stairs,
    source="alg_climb_stairs",
    role="extra",
    valid_lengths=range(1, 61),
    instance=instance,
    reference=reference,
    questions=[
        "You climb stairs by one or two steps at a time and never stand on a broken one, marked x. From below the "
        "first step to the top one, in how many ways can you do it, modulo {modulus}? stairs = '{stairs}'",
        "From the ground, which is before the first sign, a frog jumps to the next sign or to the one after that, "
        "until it is on the last one; it must not land on an x. What is the number of different ways, modulo "
        "{modulus}? stairs = '{stairs}'",
        "Each stride takes you 1 or 2 steps up. Steps marked = hold and those marked x do not. Count the ways from "
        "the floor to the last step and give the remainder of this number by {modulus}. stairs = '{stairs}'",
    ],
)
