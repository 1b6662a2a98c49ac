"""Robot Bounded In Circle: does a robot that repeats itself stay near? The length is the number of instructions."""

from random import Random

from megatron_rfft.tasks.registry import register


def robot_bounded_in_circle(instructions):
    x = 0
    y = 0
    dx = 0
    dy = 1
    while instructions:
        if instructions[0] == "G":
            x += dx
            y += dy
        elif instructions[0] == "L":
            dx, dy = -dy, dx
        else:
            dx, dy = dy, -dx
        instructions = instructions[1:]
    return (x == 0 and y == 0) or dy != 1


def instance(rng: Random, length: int) -> tuple:
    """Draw until the answer is the one drawn first. Every second robot of an even length does its first half twice,
    which may lead it back to its start, or would if two instructions were not exchanged.
    """
    is_bounded = rng.random() < 0.5
    repeats = length % 2 == 0 and rng.random() < 0.5
    while True:
        instructions = rng.choices("GLR", weights=[2, 1, 1], k=length)
        if repeats:
            instructions[length // 2 :] = instructions[: length // 2]
            if not is_bounded:
                i, j = rng.sample(range(length), 2)
                instructions[i], instructions[j] = instructions[j], instructions[i]
        if reference("".join(instructions)) == is_bounded:
            return ("".join(instructions),)


def reference(instructions: str) -> bool:
    """Whatever the turns, four rounds face the first direction again: only then a robot that is away goes on away."""
    position, direction = 0, 1j
    for instruction in instructions * 4:
        if instruction == "G":
            position += direction
        direction *= {"G": 1, "L": 1j, "R": -1j}[instruction]
    return position == 0


register(
    robot_bounded_in_circle,
    source="lc_1041",
    role="pretrain",
    valid_lengths=range(1, 61),
    instance=instance,
    reference=reference,
    questions=[
        "A robot on a plane repeats these instructions for ever: G goes one step straight ahead, L and R turn it by 90 "
        "degrees to the left and to the right. Does it stay within some circle? instructions = '{instructions}'",
        "Is the path of a robot bounded that follows this string of instructions over and over without end? "
        "G: one step forward; L: a quarter turn left; R: a quarter turn right. instructions = '{instructions}'",
        "A machine moves one metre forward at G and turns on the spot at L (90 degrees left) and R (90 degrees right). "
        "It starts again whenever it is done. Is there a distance from its start that it never exceeds? "
        "instructions = '{instructions}'",
    ],
)
