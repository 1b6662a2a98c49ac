"""Student Attendance Record I: absent once at most, never late thrice in a row? The length is the number of days."""

from random import Random

from megatron_rfft.tasks.letters import replace_at
from megatron_rfft.tasks.registry import register


def student_attendance_record_i(record):
    absent = 0
    late = 0
    while record:
        if record[0] == "L":
            late += 1
        else:
            late = 0
        if record[0] == "A":
            absent += 1
        if absent == 2 or late == 3:
            return False
        record = record[1:]
    return True


def instance(rng: Random, length: int) -> tuple:
    """A good record; every second one is spoiled by another day of absence, or by three days in a row of being late."""
    while True:
        record = "".join(rng.choices("PL", k=length, weights=[3, 2]))
        if rng.random() < 0.7:
            record = replace_at(record, rng.randrange(length), "A")
        if reference(record):
            break
    if length > 1 and rng.random() < 0.5:
        while reference(record):
            spoilt = rng.choice(["A", "LLL"[:length]])
            record = replace_at(record, rng.randint(0, length - len(spoilt)), spoilt)
    return (record,)


def reference(record: str) -> bool:
    return record.count("A") < 2 and "LLL" not in record


register(
    student_attendance_record_i,
    source="lc_551",
    role="pretrain",
    valid_lengths=range(1, 61),
    instance=instance,
    reference=reference,
    questions=[
        "In the record '{record}' each letter is a day: A for absent, L for late, P for present. "
        "Is it a record without a second A and without three L in a row?",
        "A student gets an award who was absent (A) on fewer than two days and never late (L) on three days running. "
        "Does the record '{record}' earn one?",
        "Does '{record}' have at most one A, and no three consecutive L?",
    ],
)
