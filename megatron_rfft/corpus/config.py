"""What a corpus is made of: tasks with their lengths, samples of each, split and form."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from megatron_rfft.common.cli import parse_lengths
from megatron_rfft.common.errors import UserError
from megatron_rfft.common.files import sha256_file
from megatron_rfft.tasks import FORMS, NEAR_TWINS, RANDOM_LISTS, SPLITS, list_tasks, load_task
from megatron_rfft.tasks.registry import TASK_SPLITS
from megatron_rfft.tasks.task import describe_lengths

RECORDS_PER_SHARD = 10_000


@dataclass(frozen=True)
class CorpusConfig:
    """The settings that decide a corpus' bytes. Raises UserError for settings that can't be."""

    lengths: dict[str, Sequence[int]]
    """For each task its lengths, all of them valid ones, each once; none for a task to be named as left out."""
    samples: int
    """Distinct examples of each task and length, as far as there are so many."""
    split: str = "train"
    """One of the splits of instances: train, validation, test."""
    form: str = "rule"
    """Prompt form: see megatron_rfft.tasks.prompts."""
    num_shards: int | None = None
    """Number of files; None for one per RECORDS_PER_SHARD samples asked for."""
    synthetic: int = 0
    """Examples with random rules of their own, spread evenly over the lengths that these have."""
    max_tokens: int | None = None
    """Leave out each task and length with an example over this many tokens, as tokens.estimate_tokens counts."""

    def __post_init__(self) -> None:
        for value, choices, what in ((self.split, SPLITS, "split"), (self.form, FORMS, "form")):
            if value not in choices:
                raise UserError(f"{what} {value!r} is unknown; choose one of {', '.join(choices)}")
        if self.samples < 1:
            raise UserError(f"samples is {self.samples}; ask for at least 1")
        if self.synthetic < 0:
            raise UserError(f"synthetic is {self.synthetic}; ask for 0 or more")
        if self.max_tokens is not None and self.max_tokens < 1:
            raise UserError(f"max_tokens is {self.max_tokens}; allow at least 1, or leave it out")
        if not any(self.lengths.values()):
            raise UserError("no task is given; name at least one")
        for name, lengths in self.lengths.items():
            valid = load_task(name).valid_lengths
            wrong = [length for length in lengths if length not in valid]
            if wrong:
                raise UserError(f"task {name} has no length {wrong}; its valid_lengths are {describe_lengths(valid)}")
            if len(set(lengths)) < len(lengths):
                raise UserError(f"task {name} has a length twice in {lengths}; name each once")
        if self.num_shards is None:
            object.__setattr__(self, "num_shards", -(-sum(n for _, _, n in self.cells()) // RECORDS_PER_SHARD))
        if self.num_shards < 1:
            raise UserError(f"num_shards is {self.num_shards}; ask for at least 1")

    def cells(self) -> Iterator[tuple[str, int, int]]:
        """Each task and length with the number of examples asked for."""
        for task, lengths in self.lengths.items():
            for length in lengths:
                yield task, length, self.samples
        if self.synthetic:
            lengths = range(5, 16)
            for place, length in enumerate(lengths):
                samples = self.synthetic // len(lengths) + (place < self.synthetic % len(lengths))
                if samples:
                    yield RANDOM_LISTS, length, samples

    def record(self) -> dict[str, Any]:
        """The settings as JSON values, with the checksum of each task's file: another task, another corpus."""
        lengths: dict[str, list[int]] = {}
        for name, length, _ in self.cells():
            lengths.setdefault(name, []).append(length)
        tasks = {}
        for name, chosen in lengths.items():
            task = load_task(name)
            tasks[name] = {"version": task.version, "sha256": sha256_file(task.file), "lengths": chosen}
        names = ("samples", "split", "form", "num_shards", "synthetic", "max_tokens")
        return {"tasks": tasks, **{name: getattr(self, name) for name in names}}

    @property
    def near_twins(self) -> dict[str, str]:
        """Of the tasks in here, those that nearly are a held-out task, with that task's name."""
        return {name: NEAR_TWINS[name] for name in self.lengths if name in NEAR_TWINS}


def parse_tasks(tasks: str | Sequence[str], default_lengths: str | None) -> dict[str, list[int]]:
    """The lengths of each task, from ``"coin_flip,last_letter"``, ``"coin_flip:1-10,last_letter:1-5,8"`` or a split.

    A split of tasks (train, test, extra) stands for all of its tasks. Lengths given with a task have to be valid ones;
    of ``default_lengths`` a task leaves out those that it lacks; of a split, a task may be left with none. Raises
    UserError for unknown tasks, invalid lengths, and named tasks left with none.
    """
    # a comma also separates lengths: a part that starts with a digit continues the task before it
    parts = [part.strip() for part in re.split(r",(?!\s*\d)", tasks)] if isinstance(tasks, str) else list(tasks)
    whole_split = parts[0] in TASK_SPLITS
    if whole_split:
        parts = [*list_tasks(split=parts[0]), *parts[1:]]
    chosen: dict[str, list[int]] = {}
    for part in parts:
        name, _, own = part.partition(":")
        if name in chosen:
            raise UserError(f"task {name} is named twice in {tasks!r}; give all its lengths at once: {name}:1-5,8")
        valid = load_task(name).valid_lengths
        if own:
            chosen[name] = parse_lengths(own)
        elif default_lengths:
            chosen[name] = [length for length in parse_lengths(default_lengths) if length in valid]
            if not chosen[name] and not whole_split:
                described = describe_lengths(valid)
                raise UserError(
                    f"task {name} has none of the lengths {default_lengths}; its valid_lengths: {described}"
                )
        else:
            raise UserError(f"task {name} has no lengths; give --lengths, or write {name}:1-10")
    return chosen
