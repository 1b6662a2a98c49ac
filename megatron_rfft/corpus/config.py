"""What a corpus is made of: tasks with their lengths, samples of each, split and form."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from megatron_rfft.common.cli import parse_lengths
from megatron_rfft.common.errors import UserError
from megatron_rfft.common.files import sha256_file
from megatron_rfft.tasks import FORMS, SPLITS, load_task
from megatron_rfft.tasks.task import describe_lengths

RECORDS_PER_SHARD = 10_000


@dataclass(frozen=True)
class CorpusConfig:
    """The settings that decide a corpus' bytes. Raises UserError for settings that can't be."""

    lengths: dict[str, Sequence[int]]
    """For each task its lengths, all of them valid ones, each once."""
    samples: int
    """Distinct examples of each task and length, as far as there are so many."""
    split: str = "train"
    """One of the splits of instances: train, validation, test."""
    form: str = "rule"
    """Prompt form: see megatron_rfft.tasks.prompts."""
    num_shards: int | None = None
    """Number of files; None for one per RECORDS_PER_SHARD samples asked for."""

    def __post_init__(self) -> None:
        for value, choices, what in ((self.split, SPLITS, "split"), (self.form, FORMS, "form")):
            if value not in choices:
                raise UserError(f"{what} {value!r} is unknown; choose one of {', '.join(choices)}")
        if self.samples < 1:
            raise UserError(f"samples is {self.samples}; ask for at least 1")
        if not self.lengths:
            raise UserError("no task is given; name at least one")
        for name, lengths in self.lengths.items():
            valid = load_task(name).valid_lengths
            wrong = [length for length in lengths if length not in valid]
            if wrong or not lengths:
                raise UserError(f"task {name} has no length {wrong}; its valid_lengths are {describe_lengths(valid)}")
            if len(set(lengths)) < len(lengths):
                raise UserError(f"task {name} has a length twice in {lengths}; name each once")
        if self.num_shards is None:
            asked = self.samples * sum(map(len, self.lengths.values()))
            object.__setattr__(self, "num_shards", -(-asked // RECORDS_PER_SHARD))
        if self.num_shards < 1:
            raise UserError(f"num_shards is {self.num_shards}; ask for at least 1")

    def record(self) -> dict[str, Any]:
        """The settings as JSON values, with the checksum of each task's file: another task, another corpus."""
        tasks = {}
        for name, lengths in self.lengths.items():
            task = load_task(name)
            tasks[name] = {"version": task.version, "sha256": sha256_file(task.file), "lengths": list(lengths)}
        settings = {"samples": self.samples, "split": self.split, "form": self.form, "num_shards": self.num_shards}
        return {"tasks": tasks, **settings}


def parse_tasks(text: str, default_lengths: str | None) -> dict[str, list[int]]:
    """Parse ``"coin_flip,last_letter"`` or ``"coin_flip:1-10,last_letter:1-5,8"`` into the lengths of each task.

    Lengths given with a task have to be valid ones; of ``default_lengths`` a task leaves out those that it lacks.
    Raises UserError for unknown tasks, invalid lengths, and tasks left with none.
    """
    # a comma also separates lengths: a part that starts with a digit continues the task before it
    parts = [part.strip() for part in re.split(r",(?!\s*\d)", text)]
    chosen: dict[str, list[int]] = {}
    for part in parts:
        name, _, own = part.partition(":")
        if name in chosen:
            raise UserError(f"task {name} is named twice in {text!r}; give all its lengths at once: {name}:1-5,8")
        valid = load_task(name).valid_lengths
        if own:
            chosen[name] = parse_lengths(own)
        elif default_lengths:
            chosen[name] = [length for length in parse_lengths(default_lengths) if length in valid]
            if not chosen[name]:
                described = describe_lengths(valid)
                raise UserError(
                    f"task {name} has none of the lengths {default_lengths}; its valid_lengths: {described}"
                )
        else:
            raise UserError(f"task {name} has no lengths; give --lengths, or write {name}:1-10")
    return chosen
