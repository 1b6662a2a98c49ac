"""Penguins: who is the oldest, or the heaviest, after arrivals and departures? The length is the number of these."""

from random import Random

from megatron_rfft.tasks.registry import register
from megatron_rfft.tasks.words import FEW_NAMES

COLUMNS = ("age", "weight")


def logic_penguins(edits, column):
    rows = []
    while edits:
        edit, row = edits.pop(0)
        if edit == "add":
            rows.append(row)
        else:
            rows.remove(row)
    best = rows.pop(0)
    while rows:
        row = rows.pop(0)
        if row[column] > best[column]:
            best = row
    return best[0]


def instance(rng: Random, length: int) -> tuple:
    """At most six penguins at a time and at least one; no two have the same name, age or weight."""
    new = zip(rng.sample(FEW_NAMES, length), *(rng.sample(range(1, 90), length) for _ in COLUMNS), strict=True)
    rows, edits = [], []
    for row in map(list, new):
        if len(rows) > 1 and rng.random() < len(rows) / 6:
            edits.append(["remove", rows.pop(rng.randrange(len(rows)))])
        else:
            rows.append(row)
            edits.append(["add", row])
    return edits, rng.randint(1, 2)


def reference(edits: list[list], column: int) -> str:
    gone = [row[0] for edit, row in edits if edit == "remove"]
    return max((row for _, row in edits if row[0] not in gone), key=lambda row: row[column])[0]


register(
    logic_penguins,
    source="logic_penguins",
    role="extra",
    valid_lengths=range(1, 31),
    instance=instance,
    reference=reference,
    questions=[
        "A table of penguins has the columns name (0), age (1) and weight (2) and is empty at first. After these "
        "edits, which penguin has the largest value in column {column}? edits = {edits}",
        "Rows [name, age, weight] are added to a list and removed from it. Counting columns from 0, who of those left "
        "has the highest number in column {column}? edits = {edits}",
        "Penguins come ('add') and go ('remove'), each described by name, age and weight. Compare those that stay by "
        "item {column} of the description, the name being item 0. Who is first? edits = {edits}",
    ],
)
