"""From rules to a report as Slurm jobs that depend on each other; what is done, queued or running is left alone."""

import os
import shlex
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from megatron_rfft.cluster.chain_config import ChainConfig
from megatron_rfft.cluster.slurm import ACTIVE, job_states, submit_job
from megatron_rfft.common.errors import UserError
from megatron_rfft.common.files import atomic_write, read_json, write_json
from megatron_rfft.training.checkpoint_files import BEST
from megatron_rfft.training.config import TrainConfig
from megatron_rfft.training.config_reader import load_config
from megatron_rfft.training.run_state import why_done

ROOT = Path(__file__).resolve().parents[2]
"""The checkout, where the jobs run."""
STATE = "chain.json"


@dataclass(frozen=True)
class Stage:
    """A job, or an array of jobs."""

    name: str
    after: tuple[str, ...]
    """Stages that must have ended well."""
    template: str
    done: list[Callable[[], bool]]
    """For each task whether it is done; one for the whole stage where tasks can't be told apart."""
    tasks: int | None = None
    """Tasks of the array; None: no array."""
    arguments: list[str] = field(default_factory=list)
    """Of the template."""
    files: dict[Path, str] = field(default_factory=dict)
    """To write before it is submitted."""
    options: list[str] = field(default_factory=list)
    """Of sbatch."""
    variables: dict[str, str] = field(default_factory=dict)
    follows: bool = False
    """It is made again whenever a stage before it is."""

    def missing(self) -> list[int]:
        """Tasks that are not done yet."""
        if len(self.done) == 1 and self.tasks:
            return [] if self.done[0]() else list(range(self.tasks))
        return [number for number, is_done in enumerate(self.done) if not is_done()]

    def command(self, missing: Sequence[int], jobs_before: Sequence[int | str]) -> list[str]:
        """The sbatch command for the ``missing`` tasks, to start after ``jobs_before``."""
        words = ["sbatch", "--parsable", f"--job-name=rfft-{self.name}", *self.options]
        if self.tasks is not None:
            words.append(f"--array={','.join(map(str, missing))}")
        if jobs_before:
            words += [f"--dependency=afterok:{':'.join(map(str, jobs_before))}", "--kill-on-invalid-dep=yes"]
        return [*words, f"slurm/{self.template}", *self.arguments]


@dataclass(frozen=True)
class Training:
    """A training run of the chain: what it is told, and what it leaves."""

    output: Path
    config: TrainConfig

    @property
    def checkpoint(self) -> Path:
        """The one to go on from: the best on validation data, else the last."""
        best = self.config.validation.data
        return self.output / "checkpoints" / (BEST if best else f"step-{self.config.run.steps:08d}")

    def is_done(self) -> bool:
        """Nothing is left to train."""
        return bool(why_done(self.config, self.output))


class Chain:
    """The stages of ``config`` and their state, which RUN/chain.json keeps."""

    def __init__(self, config: ChainConfig):
        self.config = config
        self.run = Path(config.run).absolute()
        self.data, self.scripts = self.run / "data", self.run / "chain"
        self.tokenizer = str(Path(config.tokenizer or config.model).absolute())
        self.pretrain = self._pretraining()
        self.adapt = {task: self._adaptation(task) for task in config.adapted}
        self.stages = self._stages()

    # what is trained

    def _pretrain_options(self) -> list[str]:
        words = ["--run.output", str(self.run / "pretrain"), "--data.train", str(self.data / "pretrain")]
        if self.config.corpus.validation:
            words += ["--validation.data", str(self.data / "validation")]
        if self.config.model:
            words += ["--checkpoint.load", str(self.run / "base")]
        return [*words, *self.config.pretrain.options]

    def _pretraining(self) -> Training:
        config = load_config(self.config.pretrain.config, self._pretrain_options())
        return Training(self.run / "pretrain", config)

    def _adapt_options(self, task: str) -> list[str]:
        words = ["--run.output", str(self.run / "adapt" / task), "--data.train", str(self.data / "adapt" / task)]
        words += ["--checkpoint.load", str(self.pretrain.checkpoint)]
        return [*words, *self.config.adapt.options]

    def _adaptation(self, task: str) -> Training:
        return Training(self.run / "adapt" / task, load_config(self.config.adapt.config, self._adapt_options(task)))

    # the stages

    def _stages(self) -> list[Stage]:
        config, run = self.config, self.run
        stages = [self._generate(), self._tokenize()]
        if data := self._data_commands():
            stages.append(self._scripted("data", (), data))
        if config.model:
            words = ["tools/convert.py", "from-hf", "--model", str(Path(config.model).absolute())]
            base = run / "base"
            command = [([*words, "--output", str(base)], base / "manifest.json")]
            stages.append(self._scripted("from-hf", (), command, array=False))
        before = tuple(stage.name for stage in stages if stage.name != "generate")
        stages.append(self._train("pretrain", before, [self.pretrain], self._pretrain_options()))
        models = {"pretrain": self.pretrain, **self.adapt}
        if self.adapt:
            lines = "".join(f"{' '.join(self._adapt_options(task))}\n" for task in self.adapt)
            stages.append(self._train("adapt", ("pretrain",), list(self.adapt.values()), [], lines))
        stages.append(self._scripted("convert", (stages[-1].name,), self._convert_commands(models)))
        gpu = ["--gpus-per-node=1"] if config.evaluate.engine == "vllm" else []
        stages.append(self._scripted("evaluate", ("convert",), self._evaluate_commands(models), gpu))
        words = ["tools/report.py", "--output", str(run / "report")]
        for name in models:
            words += ["--run", f"{'RF-pretrained' if name == 'pretrain' else name}={run / 'evaluation' / name}"]
        report = [(words, run / "report" / "report.html")]
        stages.append(replace(self._scripted("report", ("evaluate",), report, array=False), follows=True))
        return stages

    def _generate(self) -> Stage:
        corpus = self.config.corpus
        words = ["data_prep/generate.py", "--preset", _path_or_name(corpus.preset), *corpus.options]
        words += ["--output", str(self.run / "corpus")]
        return self._scripted("generate", (), [(words, self.run / "corpus" / "manifest.json")], array=False)

    def _tokenize(self) -> Stage:
        variables = {"INPUT": self.run / "corpus", "TOKENIZER": self.tokenizer, "OUTPUT": self.data / "pretrain"}
        variables |= {"PARTS": self.config.corpus.parts, "EXTRA": " ".join(self.config.corpus.tokenize)}
        return Stage(
            "tokenize",
            ("generate",),
            "data_prep.sbatch",
            [partial(Path.is_file, self.data / "pretrain.manifest.json")],
            self.config.corpus.parts,
            options=self._options("tokenize", array=True),
            variables=self._variables("tokenize") | {name: str(value) for name, value in variables.items()},
        )

    def _data_commands(self) -> list[tuple[list[str], Path]]:
        adapt, corpus = self.config.adapt, self.config.corpus
        wanted = {task: (adapt.preset, ["--tasks", task, *adapt.preset_options]) for task in self.adapt}
        outputs = {task: self.data / "adapt" / task for task in self.adapt}
        if corpus.validation:
            wanted["validation"], outputs["validation"] = (corpus.validation, []), self.data / "validation"
        commands = []
        for name, (preset, options) in wanted.items():
            words = ["data_prep/tokenize_corpus.py", "--preset", _path_or_name(preset), *options]
            words += ["--tokenizer", self.tokenizer, *corpus.tokenize, "--output", str(outputs[name])]
            commands.append((words, Path(f"{outputs[name]}.manifest.json")))
        return commands

    def _convert_commands(self, models: dict[str, Training]) -> list[tuple[list[str], Path]]:
        commands = []
        for name, training in models.items():
            output = self.run / "models" / name
            words = ["tools/convert.py", "to-hf", "--checkpoint", str(training.checkpoint), "--output", str(output)]
            commands.append((words, output / "megatron_rfft.json"))
        return commands

    def _evaluate_commands(self, models: dict[str, Training]) -> list[tuple[list[str], Path]]:
        evaluate = self.config.evaluate
        commands = []
        for name in models:
            tasks = (evaluate.tasks or list(self.adapt)) if name == "pretrain" else [name]
            output = self.run / "evaluation" / name
            words = ["tools/evaluate.py", "--model", str(self.run / "models" / name), "--engine", evaluate.engine]
            words += ["--tasks", ",".join(tasks), "--lengths", evaluate.lengths, "--samples", str(evaluate.samples)]
            commands.append(([*words, *evaluate.options, "--output", str(output)], output / "results.json"))
        return commands

    # their form

    def _scripted(
        self,
        name: str,
        after: tuple[str, ...],
        commands: list[tuple[list[str], Path]],
        options: Sequence[str] = (),
        *,
        array: bool = True,
    ) -> Stage:
        """A stage of ``commands`` (a script and its options), each with the file that it makes last."""
        folder = self.scripts / name
        files = {}
        for number, (words, _) in enumerate(commands):
            workers = ' --workers "${SLURM_CPUS_PER_TASK:-1}"' if words[0].startswith("data_prep/") else ""
            files[folder / f"{number}.sh"] = f'set -eu\n"$PYTHON" {shlex.join(words)}{workers}\n'
        return Stage(
            name,
            after,
            "stage.sbatch",
            [partial(Path.is_file, output) for _, output in commands],
            len(commands) if array else None,
            [str(folder)],
            files,
            [*options, *self._options(name, array=array)],
            self._variables(name),
        )

    def _train(
        self, name: str, after: tuple[str, ...], runs: list[Training], options: list[str], lines: str = ""
    ) -> Stage:
        """A stage of training runs: one with ``options``, or an array with a line of options for each."""
        section = getattr(self.config, name)
        file = self.scripts / f"{name}.options"
        more = self._variables(name) | ({"OPTIONS_FILE": str(file)} if lines else {})
        return Stage(
            name,
            after,
            "train.sbatch",
            [run.is_done for run in runs],
            len(runs) if lines else None,
            [str(Path(section.config).absolute()), *options],
            {file: lines} if lines else {},
            [f"--nodes={section.nodes}", *self._options(name, array=bool(lines))],
            more,
        )

    def _options(self, name: str, *, array: bool) -> list[str]:
        log = f"--output={self.scripts}/{name}-{'%A_%a' if array else '%j'}.log"
        return [log, *self.config.slurm.all, *self.config.slurm.stages.get(name, [])]

    def _variables(self, name: str) -> dict[str, str]:
        return self.config.slurm.variables | self.config.slurm.stage_variables.get(name, {})

    # submitting

    def state(self) -> dict[str, Any]:
        """What RUN/chain.json says: the newest job of each stage that was submitted."""
        file = self.run / STATE
        return read_json(file) if file.is_file() else {"stages": {}}

    def submit(self, *, dry_run: bool = False) -> list[str]:
        """Submit what is not done and not under way; a line for each stage. Raises UserError if Slurm refuses."""
        if not dry_run:
            self._check_inputs()
        state = self.state()
        active = {} if dry_run and shutil.which("squeue") is None else _active_jobs(state)
        waiting: dict[str, int | str] = dict(active)
        lines = []
        for stage in self.stages:
            if stage.name in active:
                lines.append(f"{stage.name}: job {active[stage.name]} is queued or running")
                continue
            missing = stage.missing()
            if stage.follows and any(name in waiting for name in stage.after):
                missing = list(range(len(stage.done)))
            if not missing:
                lines.append(f"{stage.name}: done")
                continue
            command = stage.command(missing, [waiting[name] for name in stage.after if name in waiting])
            if dry_run:
                waiting[stage.name] = f"<{stage.name}>"
                lines.append(_as_text(stage, command))
                continue
            for path, text in stage.files.items():
                with atomic_write(path) as handle:
                    handle.write(text)
            self.scripts.mkdir(parents=True, exist_ok=True)
            job = waiting[stage.name] = submit_job(command, {**os.environ, **stage.variables}, ROOT)
            state["stages"][stage.name] = {"job": job, "tasks": missing, "submitted": round(time.time())}
            write_json(self.run / STATE, state)  # after each: a job that is not noted down would be submitted twice
            of = "" if stage.tasks is None else f" ({len(missing)} of {stage.tasks} tasks)"
            lines.append(f"{stage.name}: submitted as job {job}{of}")
        return lines

    def _check_inputs(self) -> None:
        for key in ("model", "tokenizer"):
            if (path := getattr(self.config, key)) and not Path(path).exists():
                raise UserError(f"{key} {path} is not there; check the path")


def _active_jobs(state: dict[str, Any]) -> dict[str, int]:
    states = job_states([entry["job"] for entry in state["stages"].values()])
    return {
        name: entry["job"]
        for name, entry in state["stages"].items()
        if any(task.state in ACTIVE for task in states.get(entry["job"], []))
    }


def _as_text(stage: Stage, command: list[str]) -> str:
    variables = "".join(f"{name}={shlex.quote(value)} " for name, value in stage.variables.items())
    lines = [f"# {stage.name}", variables + shlex.join(command)]
    for path, text in stage.files.items():
        lines += [f"## {path}", *(f"   {line}" for line in text.splitlines())]
    return "\n".join(lines)


def _path_or_name(preset: str) -> str:
    """A preset of the package by its name, a file by its whole path."""
    return str(Path(preset).absolute()) if preset.endswith((".yaml", ".yml")) else preset
