"""Boolean expression with brackets: is it true? The length is the number of operators."""

from random import Random

from megatron_rfft.tasks.registry import register


def logic_boolean_brackets(expression):
    nots = {"!T": "F", "!F": "T"}
    pairs = {"T&T": "T", "T&F": "F", "F&T": "F", "F&F": "F", "T|T": "T", "T|F": "T", "F|T": "T", "F|F": "F"}
    stack = ""
    while expression:
        symbol = expression[0]
        expression = expression[1:]
        if symbol != "(" and symbol != ")":
            stack += symbol
        elif symbol == ")" and stack[-2] == "!":
            stack = stack[:-2] + nots[stack[-2:]]
        elif symbol == ")":
            stack = stack[:-3] + pairs[stack[-3:]]
    return stack == "T"


def instance(rng: Random, length: int) -> tuple:
    """Draw until the answer is the one drawn first: both are equally likely at every length."""
    answer = rng.random() < 0.5
    while True:
        expression = random_expression(rng, length)
        if reference(expression) == answer:
            return (expression,)


def random_expression(rng: Random, num_operators: int) -> str:
    if num_operators == 0:
        return rng.choice("TF")
    if rng.random() < 0.25:
        return f"(!{random_expression(rng, num_operators - 1)})"
    num_left = rng.randrange(num_operators)
    left, right = random_expression(rng, num_left), random_expression(rng, num_operators - 1 - num_left)
    return f"({left}{rng.choice('&|')}{right})"


def reference(expression: str) -> bool:
    """As Python's own expression: there every operator has its brackets, too."""
    return eval(expression.replace("!", "not ").replace("T", "True").replace("F", "False"))


register(
    logic_boolean_brackets,
    source="logic_boolean_brackets",
    role="extra",
    valid_lengths=range(1, 21),  # a longer one has a trace of more than 60,000 characters
    instance=instance,
    reference=reference,
    questions=[
        "T is true, F false, ! means not, & means and, | means or. Is this expression true? {expression}",
        "Evaluate {expression}, where & stands for 'and', | for 'or', ! for 'not', T for true and F for false. Is the "
        "result true?",
        "Work out the brackets from the inside: (x&y) is T if both are T, (x|y) if one is at least, (!x) if x is F. "
        "Does {expression} come out as T?",
    ],
)
