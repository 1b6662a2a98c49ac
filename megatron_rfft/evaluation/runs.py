"""Runs as a report compares them: the evaluations of one method, joined over its tasks and over its seeds."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from statistics import fmean
from typing import Any

from megatron_rfft.common.errors import UserError
from megatron_rfft.common.files import require_file
from megatron_rfft.evaluation.metrics import OUTCOMES, SUMMARY_MEANS, seeds_interval, summarize_run
from megatron_rfft.evaluation.run_folder import RESULTS, read_results

SAME_IN_A_RUN = ("form", "chat", "split", "samples", "budget", "engine")  # else its means compare unlike things
OF_ONE_SEED = ("model", "models", "engine", "timing", "summary")


@dataclass(frozen=True)
class Run:
    """One method in a comparison: the name that it goes by, and its results.

    Several seeds are joined by ``join_seeds``: an accuracy is then the mean over seeds, and ``by_seed`` has each one's.
    """

    name: str
    results: Mapping[str, Any]

    @property
    def seeds(self) -> list[str]:
        """Labels of the seeds; none for a run that is one evaluation."""
        return list(self.results.get("seeds", ()))

    def cells(self, task: str) -> dict[int, Mapping[str, Any]]:
        """Cells of ``task`` by length, ascending; none if this run did not measure it."""
        cells = self.results["tasks"].get(task, {}).get("cells", {})
        return {int(length): cells[length] for length in sorted(cells, key=int)}

    def trained_lengths(self, task: str) -> list[int]:
        """Lengths of ``task`` that the model was trained on."""
        return self.results["tasks"].get(task, {}).get("trained_lengths", [])


def load_run(name: str, *folders: Path | str) -> Run:
    """The run in a folder under the name that the report shows.

    Several folders are one run: a method whose model was adapted to each task on its own. Raises UserError if one is
    not finished, if they were not asked in the same way, or if a task is in two of them.
    """
    hint = "no finished evaluation there: run rfft evaluate first"
    parts = [read_results(require_file(Path(folder) / RESULTS, hint)) for folder in folders]
    return Run(name, parts[0] if len(parts) == 1 else _join_tasks(name, parts))


def _join_tasks(name: str, parts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Results of several evaluations with all their tasks; ``models`` has each one's model by its tasks."""
    tasks: dict[str, Any] = {}
    for part in parts:
        _require_same_questions(f"the evaluations of {name!r}", parts[0], part)
        if twice := tasks.keys() & part["tasks"].keys():
            raise UserError(f"{min(twice)} is in two evaluations of {name!r}; name each apart, or its seeds NAME@SEED")
        tasks |= part["tasks"]
    versions = {task: version for part in parts for task, version in part["settings"]["tasks"].items()}
    return {
        **{key: value for key, value in parts[0].items() if key not in ("files", "model")},
        "settings": {**parts[0]["settings"], "tasks": versions},
        "models": {", ".join(part["tasks"]): part["model"] for part in parts},
        "timing": _add_timing([part["timing"] for part in parts]),
        "tasks": tasks,
        "summary": summarize_run({task: measured["summary"] for task, measured in tasks.items()}),
    }


def _require_same_questions(whose: str, first: Mapping[str, Any], other: Mapping[str, Any]) -> None:
    known = first["engine"].keys() & other["engine"].keys()  # earlier versions said less
    wanted, asked = (
        {**results["settings"], "engine": {key: value for key, value in results["engine"].items() if key in known}}
        for results in (first, other)
    )
    for key in SAME_IN_A_RUN:
        if asked[key] != wanted[key]:
            raise UserError(f"{whose} differ in {key} ({wanted[key]!r} and {asked[key]!r}); name each apart")


def _add_timing(parts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    timing = {key: sum(part[key] for part in parts) for key in ("seconds", "answers", "generated_tokens")}
    return {**timing, "tokens_per_second": timing["generated_tokens"] / max(timing["seconds"], 0.1)}


def join_seeds(name: str, runs: Mapping[int, Run]) -> Run:
    """The runs of one method by seed as one: means over seeds, their intervals (``seeds_interval``), each seed's own.

    Raises UserError where the seeds did not answer the same questions, were trained on other lengths, or are one model.
    """
    seeds = {str(seed): runs[seed].results for seed in sorted(runs)}
    first = next(iter(seeds.values()))
    for (one, a), (two, b) in combinations(seeds.items(), 2):
        whose = f"seeds {one} and {two} of {name!r}"
        _require_same_questions(whose, a, b)
        if (same := _questions(a)) != (other := _questions(b)):
            key = next(key for key in sorted({*same, *other}) if same.get(key) != other.get(key))
            raise UserError(f"{whose} do not compare: {key} is {same.get(key)} in one, {other.get(key)} in the other")
        if twice := _checksums(a) & _checksums(b):
            raise UserError(f"{whose} are the same model (sha256 {min(twice)[:12]}); give another seed's evaluation")
    tasks = {task: _join_measured(task, seeds) for task in first["tasks"]}
    return Run(
        name,
        {
            **{key: value for key, value in first.items() if key not in ("files", *OF_ONE_SEED)},
            "engine": first["engine"],
            "timing": _add_timing([results["timing"] for results in seeds.values()]),
            "seeds": {s: {key: results[key] for key in OF_ONE_SEED if key in results} for s, results in seeds.items()},
            "tasks": tasks,
            "summary": _mean_summary([results["summary"] for results in seeds.values()]),
        },
    )


def _questions(results: Mapping[str, Any]) -> dict[str, Any]:
    """What has to agree between seeds, under the words that an error names it by."""
    found: dict[str, Any] = {}
    for task, measured in results["tasks"].items():
        found[f"the version of {task}"] = measured["version"]
        found[f"the trained lengths of {task}"] = measured["trained_lengths"]
        found[f"the number of questions of {task} by length"] = {
            int(length): cell["n"] for length, cell in measured["cells"].items()
        }
    return found


def _checksums(results: Mapping[str, Any]) -> set[str]:
    models = results["models"].values() if "models" in results else [results["model"]]
    return {model["sha256"] for model in models if model["sha256"]}


def _join_measured(task: str, seeds: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    parts = {seed: results["tasks"][task] for seed, results in seeds.items()}
    first = next(iter(parts.values()))
    cells = {
        length: _join_cell({seed: part["cells"][length] for seed, part in parts.items()}) for length in first["cells"]
    }
    summaries = [part["summary"] for part in parts.values()]
    return {
        **first,
        "summary": {
            **_mean_summary(summaries),
            "longest_length": first["summary"]["longest_length"],
            **{outcome: sum(summary[outcome] for summary in summaries) for outcome in OUTCOMES},
        },
        "cells": cells,
    }


def _mean_summary(summaries: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    return {key: fmean(summary[key] for summary in summaries) for key in SUMMARY_MEANS}


def _join_cell(cells: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    parts = list(cells.values())
    by_seed = {seed: cell["accuracy"] for seed, cell in cells.items()}
    steps = {seed: cell["steps"] for seed, cell in cells.items() if "steps" in cell}
    return {
        **{key: sum(part[key] for part in parts) for key in ("n", *OUTCOMES, "capped")},
        "unasked": sum(part.get("unasked", 0) for part in parts),
        "questions": parts[0]["n"],
        "accuracy": fmean(by_seed.values()),
        "interval": list(seeds_interval(list(by_seed.values()), parts[0]["n"])),
        "by_seed": by_seed,
        "mean_tokens": fmean(part["mean_tokens"] for part in parts),
        **({"steps": _join_steps(steps)} if steps else {}),
    }


def _join_steps(steps: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    kinds: Counter[str] = Counter()
    for part in steps.values():
        kinds.update(part["kinds"])
    loops = {seed: part["iterations"] for seed, part in steps.items()}
    errors = {seed: loop["relative_error"] for seed, loop in loops.items() if loop.get("relative_error") is not None}
    return {
        "kinds": dict(kinds),
        "iterations": {
            **{key: fmean(loop[key] for loop in loops.values()) for key in ("mean", "true_mean")},
            **{key: sum(loop[key] for loop in loops.values()) for key in ("fewer", "equal", "more")},
            "relative_error": fmean(errors.values()) if errors else None,
            "relative_error_by_seed": errors,
        },
    }


def parse_runs(option: str, texts: Sequence[str]) -> list[Run]:
    """Runs of texts NAME[@SEED]=DIR[,DIR...], those of a name joined (``join_seeds``), in the order given.

    Raises UserError, which names ``option``, for another text or the same name and seed twice.
    """
    found: dict[str, dict[int | None, list[str]]] = {}
    for text in texts:
        match = re.fullmatch(r"(?s)(?P<name>.+?)(?:@(?P<seed>\d+))?=(?P<folders>.+)", text)
        if not match:
            raise UserError(f'{option} {text!r} is not NAME=DIR; write for example "follows the rule=runs/eval"')
        seed = int(match["seed"]) if match["seed"] else None
        seeds = found.setdefault(match["name"], {})
        if seed in seeds:
            which = "" if seed is None else f" with seed {seed}"
            raise UserError(f"{option} names {match['name']!r}{which} twice; name each apart, or its seeds NAME@SEED")
        seeds[seed] = match["folders"].split(",")
    runs = []
    for name, seeds in found.items():
        if None in seeds and len(seeds) > 1:
            raise UserError(f"{option} names {name!r} with a seed and without; write {name}@SEED for each")
        loaded = {seed: load_run(name, *folders) for seed, folders in seeds.items()}
        runs.append(loaded[None] if None in loaded else join_seeds(name, loaded))
    return runs


def task_names(runs: Sequence[Run]) -> list[str]:
    """Every task that any run measured, in the order of the first run that names it."""
    return list(dict.fromkeys(task for run in runs for task in run.results["tasks"]))


def require_comparable(runs: Sequence[Run]) -> None:
    """Raise UserError where two runs have the same name, or were asked questions of another split or task version."""
    names = [run.name for run in runs]
    if len(set(names)) < len(names):
        raise UserError(f"two runs have the same name among {names}; name each differently, or its seeds NAME@SEED")
    for one, other in combinations(runs, 2):
        splits = [run.results["settings"]["split"] for run in (one, other)]
        if splits[0] != splits[1]:
            raise UserError(
                f"{one.name!r} answered the split {splits[0]}, {other.name!r} {splits[1]}: make two reports"
            )
        for task in one.results["tasks"].keys() & other.results["tasks"].keys():
            versions = [run.results["tasks"][task]["version"] for run in (one, other)]
            if versions[0] != versions[1]:
                raise UserError(
                    f"{one.name!r} answered version {versions[0]} of {task}, {other.name!r} version {versions[1]}: "
                    "other questions; evaluate one of them again"
                )


def untrained_lengths(runs: Sequence[Run]) -> dict[str, list[int]]:
    """By task the measured lengths beyond all that any of the runs was trained on; no task that has none of them.

    A task that no run was trained on (zero-shot) has no such bound and is left out.
    """
    found = {}
    for task in task_names(runs):
        trained = [length for run in runs for length in run.trained_lengths(task)]
        measuring = [set(run.cells(task)) for run in runs if run.cells(task)]
        beyond = sorted(n for n in set.intersection(*measuring) if trained and n > max(trained))
        if beyond:
            found[task] = beyond
    return found


def average(run: Run, lengths: Mapping[str, Sequence[int]]) -> dict[str, Any]:
    """The mean over tasks of the mean accuracy over ``lengths`` by task, as a cell: ``accuracy``, ``interval``, ...

    The interval is that of ``seeds_interval`` with every question of these cells. It speaks of these tasks and lengths,
    not of tasks in general.
    """
    cells = {task: [run.cells(task)[length] for length in wanted] for task, wanted in lengths.items()}
    seeds = run.seeds or [None]
    by_seed = {
        seed: fmean(
            fmean(cell["accuracy"] if seed is None else cell["by_seed"][seed] for cell in of_task)
            for of_task in cells.values()
        )
        for seed in seeds
    }
    n = sum(cell["n"] for of_task in cells.values() for cell in of_task)
    return {
        "n": n,
        "questions": n // len(seeds),
        "accuracy": fmean(by_seed.values()),
        "interval": list(seeds_interval(list(by_seed.values()), n // len(seeds))),
        **({"by_seed": by_seed} if run.seeds else {}),
    }


def mean_cells(run: Run, tasks: Sequence[str]) -> dict[int, dict[str, Any]]:
    """By length the mean over ``tasks``, as cells; none if the run lacks a task, and no length that a task lacks."""
    measured = [run.cells(task) for task in tasks]
    lengths = sorted(set.intersection(*map(set, measured))) if measured else []
    return {length: average(run, {task: [length] for task in tasks}) for length in lengths}


def beyond_trained(runs: Sequence[Run]) -> dict[str, Any] | None:
    """Accuracy beyond the trained lengths; None where nothing was measured there.

    ``lengths`` by task; ``tasks``: by task and run's name the mean over these lengths, as a cell; ``mean``: the mean
    over tasks, of runs that measured them all (none for a single task); ``overlapping``: pairs of runs whose intervals
    are not apart, by task.
    """
    lengths = untrained_lengths(runs)
    if not lengths:
        return None
    tasks = {
        task: {run.name: average(run, {task: wanted}) for run in runs if run.cells(task)}
        for task, wanted in lengths.items()
    }
    everywhere = [run for run in runs if all(run.cells(task) for task in lengths)]
    mean = {run.name: average(run, lengths) for run in everywhere} if len(lengths) > 1 else {}
    return {
        "lengths": lengths,
        "tasks": tasks,
        "mean": mean,
        "overlapping": {task: _overlapping(cells) for task, cells in tasks.items()},
    }


def _overlapping(cells: Mapping[str, Mapping[str, Any]]) -> list[list[str]]:
    return [
        [one, two]
        for (one, a), (two, b) in combinations(cells.items(), 2)
        if a["interval"][0] <= b["interval"][1] and b["interval"][0] <= a["interval"][1]
    ]
