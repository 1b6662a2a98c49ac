"""Elevator: on which floor does a lift with limits end? The length is the number of presses."""

from random import Random

from megatron_rfft.tasks.registry import register


def logic_elevator(floor, top, presses):
    while presses:
        floor += presses.pop(0)
        if floor > top:
            floor = top
        elif floor < 0:
            floor = 0
    return floor


def instance(rng: Random, length: int) -> tuple:
    top = rng.randint(10, 60)
    farthest = top // 3 + 1
    presses = [rng.choice([-1, 1]) * rng.randint(1, farthest) for _ in range(length)]
    return rng.randint(0, top), top, presses


def reference(floor: int, top: int, presses: list[int]) -> int:
    for press in presses:
        floor = sorted([0, floor + press, top])[1]
    return floor


register(
    logic_elevator,
    source="logic_elevator",
    role="extra",
    valid_lengths=range(1, 61),
    instance=instance,
    reference=reference,
    questions=[
        "An elevator serves floors 0 to {top} and stands at floor {floor}. Each press moves it by so many floors, "
        "negative ones down, but never beyond the lowest or highest floor, where it stops. "
        "On which floor does it end? presses = {presses}",
        "Start at {floor} and add these numbers one by one; after each, replace a result below 0 by 0 and one above "
        "{top} by {top}. What is the last result? presses = {presses}",
        "A lift is on floor {floor} of a house whose floors go from 0 to {top}. It is sent up and down by these "
        "numbers of floors and halts at the end of the shaft if a number is too large. Where is it at last? "
        "presses = {presses}",
    ],
)
