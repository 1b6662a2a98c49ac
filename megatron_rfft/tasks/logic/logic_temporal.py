"""Temporal sequences: the first free time that is long enough. The length is the number of appointments."""

from random import Random

from megatron_rfft.tasks.registry import register


def logic_temporal(needed, appointments):
    free = 0
    while appointments:
        start, end = appointments.pop(0)
        if start - free >= needed:
            return free
        free = end
    return free


def instance(rng: Random, length: int) -> tuple:
    """Gaps are too short up to the one that fits, which may be that behind the last appointment."""
    needed = rng.randint(5, 30)
    fitting = rng.randint(0, length)
    appointments, end = [], 0
    for i in range(length):
        longest = 2 * needed if i > fitting else needed - 1
        start = end + (needed + rng.choice([0, rng.randint(0, 30)]) if i == fitting else rng.randint(0, longest))
        end = start + rng.randint(5, 40)
        appointments.append([start, end])
    return needed, appointments


def reference(needed: int, appointments: list[list[int]]) -> int:
    busy = {minute for start, end in appointments for minute in range(start, end)}
    minute = 0
    while not busy.isdisjoint(range(minute, minute + needed)):
        minute += 1
    return minute


register(
    logic_temporal,
    source="logic_temporal",
    role="extra",
    valid_lengths=range(1, 61),
    instance=instance,
    reference=reference,
    questions=[
        "Each appointment is [start, end] in minutes since the morning began at 0; after the last one the time is "
        "free without limit. When is the earliest start of {needed} free minutes in a row? "
        "appointments = {appointments}",
        "A room is taken during these intervals [from, to], in minutes, and free before, between (from the minute one "
        "ends) and after them. At which minute, from 0 on, is it first free for {needed} minutes on end? "
        "appointments = {appointments}",
        "I need {needed} minutes without an appointment, as early as possible from minute 0 on, and nothing is "
        "planned after the last appointment. At which minute can I begin? Times are [start, end]. "
        "appointments = {appointments}",
    ],
)
