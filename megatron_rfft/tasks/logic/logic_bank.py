"""Bank: balance and declined withdrawals. The length is the number of operations."""

from random import Random

from megatron_rfft.tasks.registry import register


def logic_bank(balance, operations):
    declined = 0
    while operations:
        kind, amount = operations.pop(0)
        if kind == "deposit":
            balance += amount
        elif amount > balance:
            declined += 1
        else:
            balance -= amount
    return [balance, declined]


def instance(rng: Random, length: int) -> tuple:
    """Withdrawals are larger on average, so that some are declined; now and then one takes all there is."""
    start = balance = rng.randint(0, 100)
    operations = []
    for _ in range(length):
        if rng.random() < 0.5:
            operations.append(["deposit", rng.randint(1, 60)])
        else:
            operations.append(["withdraw", rng.choice([rng.randint(1, 120), rng.randint(1, 120), max(1, balance)])])
        balance = reference(balance, operations[-1:])[0]
    return start, operations


def reference(balance: int, operations: list[list]) -> list[int]:
    declined = []
    for kind, amount in operations:
        after = balance + {"deposit": amount, "withdraw": -amount}[kind]
        declined += [amount] * (after < 0)
        balance = after if after >= 0 else balance
    return [balance, len(declined)]


register(
    logic_bank,
    source="logic_bank",
    role="extra",
    valid_lengths=range(1, 61),
    instance=instance,
    reference=reference,
    questions=[
        "An account holds {balance}. A withdrawal of more than the balance at that moment is declined and changes "
        "nothing. Give [balance, number of declined withdrawals] after these operations. operations = {operations}",
        "Starting with {balance}, carry out the deposits and withdrawals in order, but refuse each withdrawal that "
        "the account does not cover. What are [final balance, refusals]? operations = {operations}",
        "A bank account with {balance} on it may never fall below 0: an operation that would do that is left out and "
        "counted. What do you get as [money left, operations left out]? operations = {operations}",
    ],
)
