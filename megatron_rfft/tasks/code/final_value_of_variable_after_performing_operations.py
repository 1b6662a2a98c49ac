"""Final Value After Operations: a variable that is changed by 1 each time. The length is the number of operations."""

from random import Random

from megatron_rfft.tasks.registry import register


def lc_2011(operations):
    x = 0
    while operations:
        operation = operations.pop(0)
        if operation[1] == "+":
            x += 1
        else:
            x -= 1
    return x


def instance(rng: Random, length: int) -> tuple:
    share = rng.random()
    ups, downs = ["++X", "X++"], ["--X", "X--"]
    return ([rng.choice(ups if rng.random() < share else downs) for _ in range(length)],)


def reference(operations: list[str]) -> int:
    text = " ".join(operations)
    return text.count("++") - text.count("--")


register(
    lc_2011,
    source="lc_2011",
    role="extra",
    valid_lengths=range(1, 61),
    instance=instance,
    reference=reference,
    questions=[
        "X is 0 at first; ++X and X++ add 1 to it, --X and X-- subtract 1. What is X after all operations? operations "
        "= {operations}",
        "A variable X starts at 0 and is increased by 1 for each ++ and decreased by 1 for each --, before or after "
        "the X. What is its final value? operations = {operations}",
        "Carry out these operations on X = 0, of which those with plus signs count up by 1 and those with minus signs "
        "count down by 1. Which number does X hold in the end? operations = {operations}",
    ],
)
