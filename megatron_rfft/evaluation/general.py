"""General ability: tasks of EleutherAI's lm-evaluation-harness (gsm8k, arc_challenge, ...), asked before and after.

Each task's scores are kept as soon as they are there; a killed run goes on with the tasks that are missing.
"""

import json
import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from megatron_rfft.common.errors import UserError
from megatron_rfft.common.files import atomic_write, read_json, require_directory, require_file, sha256_file, write_json
from megatron_rfft.common.manifest import read_manifest, write_manifest
from megatron_rfft.common.restart import Work, finished_manifest
from megatron_rfft.common.table import format_table
from megatron_rfft.evaluation.model import ModelFolder, open_model
from megatron_rfft.evaluation.run_folder import RESULTS, require_no_stranger
from megatron_rfft.tokenization.tokenizers import load_tokenizer

KIND = "general results"
ENGINES = ("vllm", "hf")


@dataclass(frozen=True)
class GeneralConfig:
    """What to ask. Raises UserError for a value outside its choices."""

    model: Path
    """HF folder."""
    tasks: tuple[str, ...]
    """Tasks or groups of lm-eval."""
    include_path: Path | None = None
    """Folder with tasks of one's own."""
    engine: str = "vllm"
    chat: bool | None = None
    """Whether questions go into the tokenizer's chat template; None: if it has one."""
    fewshot: int | None = None
    """Solved examples before each question; None: as each task says."""
    limit: int | None = None
    """Questions of each task, the first ones; None: all."""
    tensor_parallel: int = 1
    """GPUs that vLLM splits the model over."""
    batch_size: int = 16
    """Questions at a time, for the engine "hf"."""

    def __post_init__(self):
        if self.engine not in ENGINES:
            raise UserError(f"no engine {self.engine!r}; choose one of {', '.join(ENGINES)}")
        if not self.tasks:
            raise UserError("no task is named; give names such as gsm8k,arc_challenge")
        for name, least in (("fewshot", 0), ("limit", 1), ("tensor_parallel", 1), ("batch_size", 1)):
            if (value := getattr(self, name)) is not None and value < least:
                raise UserError(f"{name} is {value}; give at least {least}")
        if self.engine != "vllm" and self.tensor_parallel > 1:
            raise UserError(f"--tensor-parallel goes with --engine vllm, not {self.engine}")


def evaluate_general(config: GeneralConfig, output: Path | str) -> dict[str, Any]:
    """Run or continue the tasks in the folder ``output`` and return its results, a manifest.

    ``tasks`` has for each task its ``metrics`` (name to ``value`` and ``stderr``), ``questions`` and ``version``.
    Raises UserError for unknown tasks, for a model that cannot be read, and where ``output`` holds another run.
    """
    output = Path(output)
    model = open_model(config.model)
    chat = bool(load_tokenizer(config.model).chat_template) if config.chat is None else config.chat
    settings = _settings(config, model, chat)
    work = Work(output, notes=output / ".progress", files=output)
    with work.held():
        if results := finished_manifest(output / RESULTS, KIND, settings, section="settings", output=output):
            work.end()
            return results
        if not (output / RESULTS).is_file() and not work.notes.is_dir():
            require_no_stranger(output, (), "run of this kind")
        work.begin(settings)
        if missing := [name for name in config.tasks if not work.proof(name)]:
            for name, found in _ask(config, chat, missing):
                _keep(work, name, found)
        files = {name: _scores_file(output, name) for name in config.tasks}
        tasks = {name: read_json(file) for name, file in files.items()}
        samples = sorted((output / "samples").glob("*.jsonl"))
        sections = {"settings": settings, "model": model.describe(), "tasks": tasks}
        results = write_manifest(output / RESULTS, KIND, [*files.values(), *samples], **sections)
        work.end()
        return results


def _settings(config: GeneralConfig, model: ModelFolder, chat: bool) -> dict[str, Any]:
    """All that decides the scores."""
    own = {}
    if config.include_path is not None:
        folder = require_directory(config.include_path, "give the folder of your lm-eval tasks")
        files = sorted(path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
        own = {path.relative_to(folder).as_posix(): sha256_file(path) for path in files}
    return {
        "model": model.identity,
        "tasks": list(config.tasks),
        "own_tasks": own,
        "engine": config.engine,
        "lm_eval": _version(),
        "chat": chat,
        "fewshot": config.fewshot,
        "limit": config.limit,
    }


def _version() -> str:
    try:
        return version("lm_eval")
    except PackageNotFoundError as error:
        raise UserError("lm-eval is not installed; install it with: pip install -e .[lm-eval]") from error


def _ask(config: GeneralConfig, chat: bool, names: list[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    """What lm-eval returns for each of the tasks; the model is loaded once."""
    from lm_eval import simple_evaluate

    logging.getLogger("lm_eval").setLevel(logging.WARNING)
    manager = _task_manager(config.include_path, names)
    for name in names:
        if name in manager.all_tags:
            raise UserError(f"{name} stands for several tasks of lm-eval that have no score together; name single ones")
        if name not in manager.all_tasks:
            raise UserError(
                f"lm-eval has no task {name!r}; list them with: lm_eval ls tasks; name a folder of your own with "
                "--include-path"
            )
    model = _load(config)
    for name in names:
        yield (
            name,
            simple_evaluate(
                model,
                tasks=[name],
                num_fewshot=config.fewshot,
                limit=config.limit,
                apply_chat_template=chat,
                fewshot_as_multiturn=chat,
                task_manager=manager,
            ),
        )


def _task_manager(own: Path | None, names: list[str]) -> Any:
    """lm-eval's index of tasks: of the folder ``own`` alone if they are all there, since its own takes 10 s to read."""
    from lm_eval import tasks

    if own is not None:
        manager = tasks.TaskManager(include_path=str(own), include_defaults=False)
        if set(names) <= set(manager.all_tasks):
            return manager
    return tasks.TaskManager(include_path=own and str(own))


def _load(config: GeneralConfig) -> Any:
    """The model in lm-eval's own wrapper."""
    import torch
    from lm_eval.api.registry import get_model

    on_gpu = torch.cuda.is_available()
    arguments: dict[str, Any] = {"pretrained": str(config.model), "dtype": "bfloat16" if on_gpu else "float32"}
    if config.engine == "hf":
        arguments |= {"device": "cuda" if on_gpu else "cpu", "batch_size": config.batch_size}
    else:
        arguments |= {"tensor_parallel_size": config.tensor_parallel, "batch_size": "auto"}
    return get_model(config.engine)(**arguments)


def _scores_file(output: Path, name: str) -> Path:
    return output / "tasks" / f"{name}.json"


def _keep(work: Work, name: str, found: dict[str, Any]) -> None:
    """Write a task's questions and answers, then its scores, and prove these."""
    for member, samples in found["samples"].items():
        with atomic_write(work.files / "samples" / f"{member}.jsonl") as handle:
            handle.writelines(json.dumps(sample, default=str, ensure_ascii=False) + "\n" for sample in samples)
    scores = found["results"][name]
    metrics = {}
    for key, value in scores.items():
        metric, _, filtered = key.partition(",")
        if metric.endswith("_stderr") or not isinstance(value, (int, float)) or "," not in key:
            continue
        stderr = scores.get(f"{metric}_stderr,{filtered}")
        known = isinstance(stderr, (int, float))
        label = metric if filtered == "none" else f"{metric} ({filtered})"
        metrics[label] = {"value": float(value), "stderr": float(stderr) if known else None}
    questions = sum(count["effective"] for count in found["n-samples"].values())
    kept = {"metrics": metrics, "questions": questions, "version": found["versions"].get(name)}
    file = _scores_file(work.files, name)
    write_json(file, kept)
    work.prove(name, {file.relative_to(work.files).as_posix(): sha256_file(file)})


def load_general(folder: Path | str) -> dict[str, Any]:
    """The results of a finished run. Raises UserError if there is none."""
    hint = "no finished run there: run rfft evaluate-general first"
    return read_manifest(require_file(Path(folder) / RESULTS, hint), KIND)


def general_rows(runs: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """A table of results by the name of their run: a row for each task and metric.

    Rows have ``task``, ``metric``, ``questions`` and ``scores``, for each run its ``value``, ``stderr`` and ``change``
    from the first run's value; None for a run without that task. Raises UserError if runs were asked differently.
    """
    first = next(iter(runs.values()))["settings"]
    for name, results in runs.items():
        for key in ("chat", "fewshot", "limit", "lm_eval", "own_tasks"):
            if results["settings"][key] != first[key]:
                raise UserError(
                    f"the general tasks of {name!r} were asked with {key} {results['settings'][key]!r}, those of "
                    f"{next(iter(runs))!r} with {first[key]!r}; ask them alike"
                )
    rows = []
    for task in dict.fromkeys(task for results in runs.values() for task in results["tasks"]):
        measured = {name: results["tasks"].get(task) for name, results in runs.items()}
        present = [found for found in measured.values() if found]
        for metric in present[0]["metrics"]:
            scores, base = {}, None
            for name, found in measured.items():
                score = (found or {}).get("metrics", {}).get(metric)
                base = score["value"] if base is None and score else base
                scores[name] = score and {**score, "change": score["value"] - base}
            rows.append({"task": task, "metric": metric, "questions": present[0]["questions"], "scores": scores})
    return rows


def general_table(runs: Mapping[str, Mapping[str, Any]]) -> list[list[str]]:
    """A header and the rows as text: values in percent, their standard errors, and the change from the first run."""
    lines = [["task", "metric", "questions", *runs]]
    for row in general_rows(runs):
        cells = [_cell(score, place) for place, score in enumerate(row["scores"].values())]
        lines.append([row["task"], row["metric"], str(row["questions"]), *cells])
    return lines


def format_general(runs: Mapping[str, Mapping[str, Any]]) -> str:
    """``general_table`` for a terminal."""
    header, *rows = general_table(runs)
    return format_table(header, rows, left=range(len(header)))


def _cell(score: Mapping[str, Any] | None, place: int) -> str:
    if score is None:
        return "-"
    text = f"{100 * score['value']:.1f}"
    text += f" ± {100 * score['stderr']:.1f}" if score["stderr"] is not None else ""
    return text if place == 0 else f"{text} ({100 * score['change']:+.1f})"
