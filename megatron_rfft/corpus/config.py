"""What a corpus is made of: tasks with their lengths, samples of each, split and form."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from megatron_rfft.common.errors import UserError
from megatron_rfft.common.files import sha256_file
from megatron_rfft.tasks import (
    FORMS,
    NEAR_TWINS,
    RANDOM_LISTS,
    SPLITS,
    current_name,
    load_task,
    read_tasks,
)
from megatron_rfft.tasks.random_tasks import RandomTask
from megatron_rfft.tasks.task import describe_lengths

RECORDS_PER_SHARD = 10_000


@dataclass(frozen=True)
class CorpusConfig:
    """The settings that decide a corpus' bytes. Raises UserError for settings that can't be."""

    lengths: dict[str, Sequence[int] | Mapping[int, float]]
    """For each task its lengths, all of them valid ones, each once; none for a task to be named as left out.

    A mapping gives the number of a length's examples as a multiple of ``samples``.
    """
    samples: int
    """Distinct examples of each task and length, as far as there are so many."""
    split: str = "train"
    """One of the splits of instances: train, validation, test."""
    form: str = "rule"
    """Prompt form: see megatron_rfft.tasks.prompts."""
    num_shards: int | None = None
    """Number of files; None for one per RECORDS_PER_SHARD samples asked for."""
    synthetic: int | dict[str, int] = 0
    """Examples with random rules of their own, beside those of the tasks: how many of each kind, which is written with
    its lengths as ``random_strings:1-12:0.9,13-32:0.1``, and has them spread by these shares. A number alone is one of
    ``random_lists:5-15``."""
    rename: bool | str | None = None
    """Whether the rules of the tasks have other names in each example; or settings, such as 0.5+names=12: in half."""
    max_tokens: int | None = None
    """Leave out each task and length with an example over this many tokens, as tokens.estimate_tokens counts."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "lengths", {current_name(name): chosen for name, chosen in self.lengths.items()})
        for value, choices, what in ((self.split, SPLITS, "split"), (self.form, FORMS, "form")):
            if value not in choices:
                raise UserError(f"{what} {value!r} is unknown; choose one of {', '.join(choices)}")
        if self.samples < 1:
            raise UserError(f"samples is {self.samples}; ask for at least 1")
        for name, (_, samples) in self._synthetic().items():
            if samples < 0:
                raise UserError(f"synthetic is {samples}; ask for 0 or more")
            if name in self.lengths or not isinstance(load_task(name), RandomTask):
                raise UserError(f"synthetic has {name!r}; name random rules that are not among the tasks")
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
                weight = lengths[length] if isinstance(lengths, Mapping) else 1
                if samples := round(self.samples * weight):
                    yield task, length, samples
        for task, (weights, total) in self._synthetic().items():
            for length, samples in zip(weights, _spread(total, list(weights.values())), strict=True):
                if samples:
                    yield task, length, samples

    def _synthetic(self) -> dict[str, tuple[dict[int, float], int]]:
        """For each kind of random rules its lengths with their weights, and its number of examples."""
        asked = {RANDOM_LISTS_AS_A_NUMBER: self.synthetic} if isinstance(self.synthetic, int) else self.synthetic
        kinds = {}
        for text, samples in asked.items():
            for name, lengths in parse_tasks([text], None).items():
                weights = lengths if isinstance(lengths, dict) else dict.fromkeys(lengths, 1.0)
                kinds[name] = weights, samples
        return kinds if self.synthetic else {}

    def record(self) -> dict[str, Any]:
        """The settings as JSON values, with the checksum of each task's file: another task, another corpus."""
        cells: dict[str, dict[int, int]] = {}
        for name, length, samples in self.cells():
            cells.setdefault(name, {})[length] = samples
        tasks = {}
        for name, chosen in cells.items():
            task = load_task(name)
            tasks[name] = {"version": task.version, "sha256": sha256_file(task.file), "lengths": list(chosen)}
            if set(chosen.values()) != {self.samples} and not isinstance(task, RandomTask):
                tasks[name]["samples"] = list(chosen.values())
        names = ("samples", "split", "form", "num_shards", "synthetic", "rename", "max_tokens")
        return {"tasks": tasks, **{name: getattr(self, name) for name in names}}

    @property
    def near_twins(self) -> dict[str, str]:
        """Of the tasks in here, those that nearly are a held-out task, with that task's name."""
        names = {name: name.partition("+")[0] for name in self.lengths}
        return {name: NEAR_TWINS[base] for name, base in names.items() if base in NEAR_TWINS}


RANDOM_LISTS_AS_A_NUMBER = f"{RANDOM_LISTS}:5-15"


def _spread(total: int, weights: Sequence[float]) -> list[int]:
    """Whole numbers that add up to ``total``, in the proportions of ``weights``."""
    whole, reached, given = sum(weights), 0.0, 0
    parts = []
    for weight in weights:
        reached += weight
        parts.append(round(total * reached / whole) - given)
        given += parts[-1]
    return parts


def parse_tasks(
    tasks: str | Sequence[str], default_lengths: str | None, rename: bool | str = False
) -> dict[str, Sequence[int] | Mapping[int, float]]:
    """The lengths of each task for a corpus, as ``tasks.read_tasks`` reads them.

    Lengths given with a task's own name have to be valid ones. Of others, a task leaves out those that it lacks; of a
    group, it may be left with none. Raises UserError as that does, and for named tasks left with none.

    Lengths with shares (``parse_length_shares``) give a mapping: a length's weight stays as asked for where a task
    lacks others.
    """
    chosen: dict[str, Sequence[int] | Mapping[int, float]] = {}
    for name, asked in read_tasks(tasks, default_lengths, rename).items():
        valid = load_task(name).valid_lengths
        weights = {length: weight for length, weight in asked.weights.items() if asked.is_own or length in valid}
        if asked.is_named and not weights:
            described = describe_lengths(valid)
            raise UserError(f"task {name} has none of the lengths {default_lengths}; its valid_lengths: {described}")
        chosen[name] = _plain_if_even(weights)
    return chosen


def _plain_if_even(weights: dict[int, float]) -> list[int] | dict[int, float]:
    return list(weights) if set(weights.values()) <= {1.0} else weights
