"""Cycle navigation: where on a ring do steps lead? The length is the number of moves."""

from random import Random

from megatron_rfft.tasks.registry import register


def sym_cycle_navigation(moves, size):
    place = 0
    while moves:
        move = moves.pop(0)
        if move == "forward":
            place = (place + 1) % size
        elif move == "back":
            place = (place - 1) % size
    return place


def instance(rng: Random, length: int) -> tuple:
    weights = [rng.random() for _ in range(3)]  # most walks drift one way, so that they pass 0
    return rng.choices(["forward", "back", "stay"], weights, k=length), rng.randint(5, 12)


def reference(moves: list[str], size: int) -> int:
    return (moves.count("forward") - moves.count("back")) % size


register(
    sym_cycle_navigation,
    source="sym_cycle_navigation",
    role="extra",
    valid_lengths=range(1, 61),
    instance=instance,
    reference=reference,
    questions=[
        "A ring has {size} places, numbered from 0 on, and after the last one comes 0 again. "
        "Starting at 0, at which place do these moves of one step end? moves = {moves}",
        "A token stands on field 0 of a circle of {size} fields, numbered from 0. 'forward' moves it to the next "
        "number, 'back' to the one before (from 0 to the highest). On which field is it in the end? moves = {moves}",
        "Count up by 1 for 'forward' and down by 1 for 'back', modulo {size} and beginning with 0. "
        "What is the result, which is never negative? moves = {moves}",
    ],
)
