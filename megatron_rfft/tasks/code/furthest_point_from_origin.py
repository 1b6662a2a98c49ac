"""Furthest Point From Origin: how far away moves with free choices can end. The length is the number of moves."""

from random import Random

from megatron_rfft.tasks.registry import register


def furthest_point_from_origin(moves):
    position = 0
    free = 0
    while moves:
        if moves[0] == "L":
            position -= 1
        elif moves[0] == "R":
            position += 1
        else:
            free += 1
        moves = moves[1:]
    return abs(position) + free


def instance(rng: Random, length: int) -> tuple:
    weights = [rng.uniform(0.1, 1) for _ in range(3)]
    return ("".join(rng.choices("LR_", weights, k=length)),)


def reference(moves: str) -> int:
    lefts, rights = (moves.replace("_", choice) for choice in "LR")
    return max(lefts.count("L") - lefts.count("R"), rights.count("R") - rights.count("L"))


register(
    furthest_point_from_origin,
    source="lc_2833",
    role="pretrain",
    valid_lengths=range(1, 61),
    instance=instance,
    reference=reference,
    questions=[
        "You start at 0 on a number line. L is a step to the left, R one to the right, and at each _ you may choose. "
        "How far from 0 can you be at the end? moves = '{moves}'",
        "Each L moves a token one to the left, each R one to the right, and each _ one to the side of your choice. "
        "What is the greatest distance from its start at which the token can end? moves = '{moves}'",
        "Fill in every _ with L or R so that these steps to the left and to the right end as far from their start "
        "as possible. How far is that? moves = '{moves}'",
    ],
)
