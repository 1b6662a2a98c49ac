"""Multistep arithmetic: +, - and * with the usual precedence. The length is the number of numbers."""

from random import Random

from megatron_rfft.tasks.registry import register


def logic_multistep_arith(expression):
    total = 0
    term = int(expression[0])
    expression = expression[1:]
    while expression:
        operator = expression[0]
        number = int(expression[1])
        expression = expression[2:]
        if operator == "*":
            term = term * number
        else:
            total += term
            term = number
            if operator == "-":
                term = -number
    return total + term


def instance(rng: Random, length: int) -> tuple:
    expression = str(rng.randint(1, 9))
    for _ in range(length - 1):
        operators = "+-" if expression[-4:-3] == expression[-2:-1] == "*" else "+-*"  # three factors at most
        expression += rng.choice(operators) + str(rng.randint(1, 9))
    return (expression,)


def reference(expression: str) -> int:
    return eval(expression)


register(
    logic_multistep_arith,
    source="logic_multistep_arith",
    role="extra",
    valid_lengths=range(1, 61),
    instance=instance,
    reference=reference,
    questions=[
        "What is {expression}?",
        "Calculate {expression}, multiplication before addition and subtraction.",
        "Which value does the expression {expression} have, with the usual precedence of operators?",
    ],
)
