"""Pass the Pillow: who holds a pillow that goes up and down a line of people? The length is the number of people."""

from random import Random

from megatron_rfft.tasks.registry import register
from megatron_rfft.tasks.words import NAMES


def pass_the_pillow(people, time):
    last = len(people) - 1
    position = 0
    step = 1
    while time:
        position += step
        if position == 0 or position == last:
            step = -step
        time -= 1
    return people[position]


def instance(rng: Random, length: int) -> tuple:
    return rng.sample(NAMES, length), rng.randint(1, 2 * length)


def reference(people: list[str], time: int) -> str:
    there_and_back = people + people[-2:0:-1]
    return there_and_back[time % len(there_and_back)]


register(
    pass_the_pillow,
    source="lc_2582",
    role="pretrain",
    version=2,
    valid_lengths=range(2, 61),  # one person alone has nobody to pass to
    instance=instance,
    reference=reference,
    questions=[
        "These people stand in a line, and the first one holds a pillow. Every second it goes to the next "
        "person; at each end of the line it turns round and goes back. Who holds it after second number {time}? "
        "people = {people}",
        "A pillow wanders along this line of people from the first to the last, back to the first, and so on, "
        "one person at each pass. It starts with the first person. Who has it after pass number {time}? people = "
        "{people}",
        "The first person in the line hands a pillow to the second, the second to the third, and so on. Whoever "
        "is last, and later whoever is first again, sends it back the other way. Altogether the number of times "
        "that it is handed on is {time}. In whose hands is it then? people = {people}",
    ],
)
