"""Rotate String: does turning s around give the goal? The length is the length of s."""

from random import Random

from megatron_rfft.tasks.letters import change_letter, random_letters, shuffled
from megatron_rfft.tasks.registry import register


def rotate_string(s, goal):
    front = ""
    while s:
        if s + front == goal:
            return True
        front += s[0]
        s = s[1:]
    return False


def instance(rng: Random, length: int) -> tuple:
    s = random_letters(rng, length)
    start = rng.randrange(length)
    goal = s[start:] + s[:start]
    if rng.random() < 0.5:
        first, second = sorted(rng.choices(range(length), k=2))
        goal = goal[:first] + shuffled(rng, goal[first : second + 1]) + goal[second + 1 :]
        while reference(s, goal):
            goal = change_letter(rng, goal)
    return s, goal


def reference(s: str, goal: str) -> bool:
    return len(s) == len(goal) and goal in s + s


register(
    rotate_string,
    source="lc_796",
    role="pretrain",
    version=2,
    valid_lengths=range(1, 61),
    instance=instance,
    symmetric=True,
    reference=reference,
    questions=[
        "One shift moves the first letter of a string to its end. Do some shifts, or none, turn '{s}' into '{goal}'?",
        "Can '{s}' be cut in two (one part may be empty) so that the second part followed by the first is '{goal}'?",
        "Is '{goal}' a rotation of '{s}'? The string itself counts as one.",
    ],
)
