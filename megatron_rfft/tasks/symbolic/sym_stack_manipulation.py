"""Stack manipulation: what is on a stack after pushes and pops? The length is the number of actions."""

from random import Random
from string import ascii_lowercase

from megatron_rfft.tasks.registry import register


def sym_stack_manipulation(actions):
    stack = []
    while actions:
        action = actions.pop(0)
        if action != "pop":
            stack.append(action[-1])
        elif stack:
            stack.pop()
    return stack


def instance(rng: Random, length: int) -> tuple:
    pushing = rng.uniform(0.5, 0.8)
    return (["push " + rng.choice(ascii_lowercase) if rng.random() < pushing else "pop" for _ in range(length)],)


def reference(actions: list[str]) -> list[str]:
    """Backwards: each pop cancels the nearest push before it that no later pop has taken."""
    left, pops = [], 0
    for action in reversed(actions):
        if action == "pop":
            pops += 1
        elif pops:
            pops -= 1
        else:
            left.append(action.removeprefix("push "))
    return left[::-1]


register(
    sym_stack_manipulation,
    source="sym_stack_manipulation",
    role="extra",
    valid_lengths=range(1, 61),
    instance=instance,
    reference=reference,
    questions=[
        "A stack is empty at first; a pop from the empty stack does nothing. "
        "What does it hold after these actions, listed from bottom to top? actions = {actions}",
        "'push x' puts x on top of a stack and 'pop' takes the top off, if there is one. Start with nothing. "
        "Which letters are left in the end, the lowest first? actions = {actions}",
        "Carry out these actions on an empty stack, ignoring each pop that finds nothing. "
        "Give the stack from its bottom to its top. actions = {actions}",
    ],
)
