"""Baseball Game: keep a record of scores by the operations, then sum it. The length is the number of operations."""

from random import Random

from megatron_rfft.tasks.registry import register


def baseball_game(operations):
    record = []
    while operations:
        operation = operations.pop(0)
        if operation == "+":
            record.append(record[-1] + record[-2])
        elif operation == "D":
            record.append(2 * record[-1])
        elif operation == "C":
            record.pop()
        else:
            record.append(int(operation))
    total = 0
    while record:
        score = record.pop(0)
        total += score
    return total


def instance(rng: Random, length: int) -> tuple:
    operations, size = [], 0  # size of the record so far: "+" needs two scores, "D" and "C" one
    while len(operations) < length:
        choices = ["number"] * 3 + ["C", "D"] * (size > 0) + ["+"] * (size > 1)
        operation = rng.choice(choices)
        size += -1 if operation == "C" else 1
        operations.append(str(rng.randint(-20, 20)) if operation == "number" else operation)
    return (operations,)


def reference(operations: list[str]) -> int:
    scores: list[int] = []
    for operation in operations:
        if operation == "C":
            del scores[-1]
        elif operation == "D":
            scores += [scores[-1] * 2]
        elif operation == "+":
            scores += [sum(scores[-2:])]
        else:
            scores += [int(operation)]
    return sum(scores)


register(
    baseball_game,
    source="lc_682",
    role="pretrain",
    version=2,
    valid_lengths=range(1, 61),
    instance=instance,
    reference=reference,
    questions=[
        "A record of scores starts empty. A number is entered as it is, '+' enters the sum of the last two scores, "
        "'D' enters twice the last score and 'C' strikes out the last score. "
        "What do the scores on the record add up to? operations = {operations}",
        "Keep score by these operations: a number is a new score, D doubles the last score into a new one, "
        "+ adds the last two into a new one, C cancels the last. "
        "What is the total at the end? operations = {operations}",
        "In a strange game of baseball, a number is a score, '+' scores as much as the last two scores that "
        "count, 'D' scores double the last one, and 'C' makes the last one not count. What is the sum of all "
        "that count? operations = {operations}",
    ],
)
