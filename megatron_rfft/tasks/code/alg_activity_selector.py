"""Activity selector: activities that follow one another without overlaps. The length is the number of activities."""

from random import Random

from megatron_rfft.tasks.registry import register


def alg_activity_selector(activities):
    chosen = []
    free = 0
    while activities:
        start, end = activities.pop(0)
        if start >= free:
            chosen.append([start, end])
            free = end
    return chosen


def instance(rng: Random, length: int) -> tuple:
    """Ends ascend by steps; a start often falls on an end, and most activities overlap some before them."""
    activities, ends = [], [0]
    for _ in range(length):
        end = ends[-1] + rng.randint(1, 4)
        start = rng.choice([max(0, end - rng.randint(1, 12)), rng.choice(ends[-3:])])
        activities.append([start, end])
        ends.append(end)
    return (activities,)


def reference(activities: list[list[int]]) -> list[list[int]]:
    """By the definition: again and again the earliest end among what the last choice leaves."""
    chosen = []
    while activities:
        chosen.append(min(activities, key=lambda activity: activity[1]))
        activities = [activity for activity in activities if activity[0] >= chosen[-1][1]]
    return chosen


register(
    alg_activity_selector,
    source="alg_activity_selector",
    role="extra",
    valid_lengths=range(1, 61),
    instance=instance,
    reference=reference,
    questions=[
        "Activities [start, end] are listed by their ends. Take the first, then always the next one in the list that "
        "does not start before the last one taken has ended. Which do you take? activities = {activities}",
        "As many of these activities [start, end] as possible are to take place in one room, one after the other; one "
        "may start when another ends. List them if the one that ends first is always chosen. activities = {activities}",
        "Go through this list of [from, to], which is sorted by 'to', and keep an interval if it begins at or after "
        "the end of the last one kept (the first is always kept). Give the list of those kept. "
        "activities = {activities}",
    ],
)
