"""Boolean chain: apply and, or and not to a truth value, one by one. The length is the number of operators."""

from functools import reduce
from random import Random

from megatron_rfft.tasks.registry import register


def logic_boolean_chain(value, steps):
    while steps:
        step = steps.pop(0)
        if step[0] == "not":
            value = not value
        elif step[0] == "and":
            value = value and step[1]
        else:
            value = value or step[1]
    return value


def instance(rng: Random, length: int) -> tuple:
    return rng.random() < 0.5, [random_step(rng) for _ in range(length)]


def random_step(rng: Random) -> list:
    operator = rng.choice(["and", "or", "not"])
    return [operator] if operator == "not" else [operator, rng.random() < 0.5]


def reference(value: bool, steps: list[list]) -> bool:
    actions = {"not": lambda v: 1 - v, "and": min, "or": max}
    return bool(reduce(lambda v, step: actions[step[0]](v, *map(int, step[1:])), steps, int(value)))


register(
    logic_boolean_chain,
    source="logic_boolean_chain",
    role="extra",
    valid_lengths=range(1, 61),
    instance=instance,
    reference=reference,
    questions=[
        "Start with {value} and apply each step to the result so far: 'not' negates it, 'and' and 'or' combine it "
        "with the value behind them. What comes out? steps = {steps}",
        "A truth value is {value} at first. Each step turns it into its negation, or joins it by and/or with another "
        "value. What is it at the end? steps = {steps}",
        "Evaluate strictly from left to right, without precedence, each operator acting on all that comes before it, "
        "'not' too. The first value is {value}. What is the result? steps = {steps}",
    ],
)
