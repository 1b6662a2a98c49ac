"""Traffic light: which light is on after some waits, and for how long yet? The length is the number of waits."""

from itertools import accumulate
from random import Random

from megatron_rfft.tasks.registry import register


def logic_turn_signal(durations, waits):
    following = {"green": "yellow", "yellow": "red", "red": "green"}
    light = "green"
    left = durations[light]
    while waits:
        left -= waits.pop(0)
        while left <= 0:
            light = following[light]
            left += durations[light]
    return [light, left]


def instance(rng: Random, length: int) -> tuple:
    durations = {"green": rng.randint(10, 40), "yellow": rng.randint(3, 10), "red": rng.randint(10, 40)}
    return durations, [rng.randint(1, 30) for _ in range(length)]


def reference(durations: dict[str, int], waits: list[int]) -> list:
    """From the time that has passed since the last whole round."""
    passed = sum(waits) % sum(durations.values())
    ends = accumulate(durations.values())
    return next([light, end - passed] for light, end in zip(durations, ends, strict=True) if passed < end)


register(
    logic_turn_signal,
    source="logic_turn_signal",
    role="extra",
    valid_lengths=range(1, 61),
    instance=instance,
    reference=reference,
    questions=[
        "A signal is green, yellow, red and green again, each for the given number of seconds; it has just turned "
        "green. Waits of so many seconds follow one another. Give [light, seconds until it changes] after them; at a "
        "change the new light counts. durations = {durations}, waits = {waits}",
        "A traffic light starts with a full green phase, which yellow and red follow, over and over. After all these "
        "waits, in seconds, which light shows and how long does it still last, as [light, seconds]? A phase that is "
        "just over does not count. durations = {durations}, waits = {waits}",
        "The phases of a signal last as listed and come in turn: green, yellow, red, green and so on. At the start "
        "green begins. Let all the waits pass and answer with [phase, time left in it], which is the whole phase at "
        "its very start. durations = {durations}, waits = {waits}",
    ],
)
