"""Queue by two stacks: the numbers in the order in which they leave. The length is the number of operations."""

from random import Random

from megatron_rfft.tasks.registry import register


def alg_queue_two_stacks(operations):
    result = []
    inbox = []
    outbox = []
    while operations:
        operation = operations.pop(0)
        if operation != "pop":
            inbox.append(operation)
        else:
            if not outbox:
                while inbox:
                    outbox.append(inbox.pop())
            if outbox:
                result.append(outbox.pop())
    return result


def instance(rng: Random, length: int) -> tuple:
    popping = rng.uniform(0.3, 0.6)
    first, *rest = [rng.randint(1, 99) for _ in range(length)]
    return ([first, *("pop" if rng.random() < popping else number for number in rest)],)


def reference(operations: list) -> list[int]:
    """The first numbers, as many as there were pops that found one."""
    waiting = served = 0
    for operation in operations:
        if operation != "pop":
            waiting += 1
        elif waiting:
            waiting -= 1
            served += 1
    return [operation for operation in operations if operation != "pop"][:served]


register(
    alg_queue_two_stacks,
    source="alg_queue_two_stacks",
    role="extra",
    valid_lengths=range(1, 61),
    instance=instance,
    reference=reference,
    questions=[
        "Numbers join a queue, and each 'pop' takes out the one that has waited longest; it does nothing if the queue "
        "is empty. Which numbers are taken out, in this order? operations = {operations}",
        "A queue is empty at first. A number is put at its end; 'pop' removes the number at its front, if there is "
        "one. List all removed numbers. operations = {operations}",
        "First in, first out: a number among the operations goes in, 'pop' lets the next one out (nothing, if all are "
        "out). What comes out, as a list? operations = {operations}",
    ],
)
