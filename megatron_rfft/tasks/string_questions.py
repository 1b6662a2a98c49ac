"""How questions about random rules over strings are worded: the arguments come first, in the middle or last."""

from collections.abc import Sequence
from random import Random
from typing import Any

# {all} is "12 and 3"; {named} "num = 12 and k = 3"; {let} "num be 12 and k be 3"; {x} the first argument; {with_} is
# " with 3" or nothing; {f} the rule's name.
_QUESTIONS = (
    "What does the rule give for {all}?",
    "Apply the rule to {all}.",
    "Which value is returned for {all}?",
    "Follow the rule on {all}. What comes out?",
    "Given {all}, what comes out?",
    "How does {x} come out{with_}?",
    "Take {x}{with_}. What is the result?",
    "For {x}{with_}, find the value that is returned.",
    "The input is {x}{with_}. What does the rule return?",
    "What is left of {x} in the end{with_}?",
    "Run the rule with {x} as input{with_}.",
    "What becomes of {x} under the rule{with_}?",
    "How many is it for {x}{with_}?",
    "Which one is it in {x}{with_}?",
    "Work on {x} step by step{with_} and state the answer.",
    "Say what happens to {x}{with_}.",
    "Let {let}. What is returned?",
    "Start from {x}{with_} and go on to the end.",
    "If {named}, what is the answer?",
    "With {named}, what does {f} return?",
    "{all}: what does the rule make of it?",
    "{x} is given{with_}. Tell the result of the rule.",
    "Somebody calls {f} with {all}. What is the value?",
    "Let {let}; find what the rule returns in the end.",
    "Look at {x}{with_}. Which value does the rule find there?",
)


def ask(rng: Random, function: str, parameters: Sequence[str], arguments: Sequence[Any]) -> str:
    """A question with these arguments in a wording that ``rng`` chooses."""
    first, *others = arguments
    pairs = list(zip(parameters, arguments, strict=True))
    return rng.choice(_QUESTIONS).format(
        f=function,
        all=_listed(arguments),
        x=first,
        with_=f" with {_listed(others)}" if others else "",
        named=_listed([f"{name} = {value}" for name, value in pairs]),
        let=_listed([f"{name} be {value}" for name, value in pairs]),
    )


def _listed(values: Sequence[Any]) -> str:
    """``1``, ``1 and 2``, ``1, 2 and 3``."""
    *first, last = map(str, values)
    return f"{', '.join(first)} and {last}" if first else last
