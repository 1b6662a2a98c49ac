"""Which instance belongs to (task, version, split, length, index): splits that are disjoint by construction.

Where a task has many instances of a length, the hash of an instance's arguments alone decides its split (80 % train,
10 % validation, 10 % test). Each index seeds its own draws, repeated until one falls into the split asked for, so
neighbouring indices share nothing and repeat each other by chance only.

Where it has few (1,000 or fewer, for example one-digit numbers), they are listed once, put in the order of their
hashes and dealt out in the same shares, at least one to each split while they last (train first, then test). There an
index is a place in the split's list: no two are equal, and an index beyond the last raises NoInstanceError.
"""

import json
from hashlib import blake2b
from random import Random
from typing import TYPE_CHECKING, Any

from megatron_rfft.common.errors import UserError
from megatron_rfft.rules import copy_value

if TYPE_CHECKING:
    from megatron_rfft.tasks.task import Task

SPLITS = ("train", "validation", "test")
FEW = 1_000  # distinct instances that are listed rather than hashed
_SCREENING = 128  # draws without a repetition that show that there are many
_MAX_DRAWS = 1_000  # a split holds at least 10 %, so that this many misses mean a sampler with a fault

Arguments = tuple[Any, ...]


class NoInstanceError(UserError):
    """The task has fewer distinct instances of this length in this split."""


def draw_instance(task: "Task", split: str, length: int, index: int) -> tuple[Arguments, Random]:
    """The arguments of one instance, and the generator for what else the example has to choose.

    Raises NoInstanceError if ``index`` lies beyond the last instance.
    """
    rng = _generator(task, split, length, index)
    few = list_if_few(task, length)
    if few is not None:
        if index >= len(few[split]):
            raise NoInstanceError(
                f"task {task.name} has {len(few[split])} {split} instances of length {length}; "
                f"index {index} is beyond them: ask for fewer, or for longer ones"
            )
        return copy_value(few[split][index]), rng
    for _ in range(_MAX_DRAWS):
        arguments = task.instance(rng, length)
        if _split_of(task, arguments) == split:
            return arguments, rng
    raise NoInstanceError(f"task {task.name} draws no {split} instance of length {length}; mend its sampler")


def list_if_few(task: "Task", length: int) -> dict[str, list[Arguments]] | None:
    """The distinct instances of each split if there are at most FEW of this length, else None."""
    if length not in task.few_instances:
        task.few_instances[length] = _listed(task, length)
    return task.few_instances[length]


def instance_key(arguments: Arguments) -> str:
    """The canonical text of an instance: equal instances, equal keys."""
    return json.dumps(arguments, separators=(",", ":"))


def _listed(task: "Task", length: int) -> dict[str, list[Arguments]] | None:
    rng = _generator(task, "list", length, 0)
    found: dict[str, Arguments] = {}
    draws = since_last = 0
    while since_last < _SCREENING + 3 * len(found):  # then what is missing is rare, and is left out of every split
        arguments = task.instance(rng, length)
        key = instance_key(arguments)
        draws += 1
        since_last = since_last + 1 if key in found else 0
        found[key] = arguments
        if len(found) > FEW or len(found) == draws == _SCREENING:
            return None
    ordered = sorted(found.values(), key=lambda arguments: _hash(task, arguments))
    share = max(1, len(ordered) // 10)
    num_test = share if len(ordered) > 1 else 0
    num_validation = share if len(ordered) > 2 else 0
    return {
        "test": ordered[:num_test],
        "validation": ordered[num_test : num_test + num_validation],
        "train": ordered[num_test + num_validation :],
    }


def _split_of(task: "Task", arguments: Arguments) -> str:
    part = _hash(task, arguments) % 10
    return "test" if part == 0 else "validation" if part == 1 else "train"


def _hash(task: "Task", arguments: Arguments) -> int:
    """Without the version: a new version of a task must not move test instances into the training split."""
    return _digest(f"{task.name}|{instance_key(arguments)}")


def _generator(task: "Task", split: str, length: int, index: int) -> Random:
    return Random(_digest(f"{task.name}|{task.version}|{split}|{length}|{index}"))


def _digest(text: str) -> int:
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "little")
