"""From rules to a report as stages, each of which a Slurm job or an array of jobs does: what it runs, what it needs."""

import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from megatron_rfft.cluster.chain_config import ChainConfig
from megatron_rfft.common.errors import UserError
from megatron_rfft.training.checkpoint_files import BEST
from megatron_rfft.training.config import TrainConfig
from megatron_rfft.training.config_reader import load_config
from megatron_rfft.training.run_state import why_done

ROOT = Path(__file__).resolve().parents[2]
"""The checkout, where the jobs run."""


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
    pairs: dict[str, int] = field(default_factory=dict)
    """Other arrays, by how many of their tasks correspond to the first ones here: each waits for its own one alone."""
    follows: bool = False
    """It is made again whenever a stage before it is."""

    @property
    def is_coarse(self) -> bool:
        """Its tasks can't be told apart by what they leave."""
        return len(self.done) == 1 and bool(self.tasks)

    def missing(self) -> list[int]:
        """Tasks that are not done yet."""
        if self.is_coarse:
            return [] if self.done[0]() else list(range(self.tasks))
        return [number for number, is_done in enumerate(self.done) if not is_done()]

    def command(self, tasks: Sequence[int], dependency: str, comment: str = "") -> list[str]:
        """The sbatch command for ``tasks``, with sbatch's options ``dependency`` and ``comment`` (empty: none)."""
        words = ["sbatch", "--parsable", f"--job-name=rfft-{self.name}"]
        words += [f"--comment={comment}"] if comment else []
        words += self.options
        if self.tasks is not None:
            words.append(f"--array={','.join(map(str, tasks))}")
        if dependency:
            words += [f"--dependency={dependency}", "--kill-on-invalid-dep=yes"]
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
    """The stages of ``config``."""

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
        models = {**self.adapt, "pretrain": self.pretrain}  # a task of the arrays each, the same in all of them
        pairs = {}
        if self.adapt:
            lines = "".join(f"{' '.join(self._adapt_options(task))}\n" for task in self.adapt)
            adapt = self._train("adapt", ("pretrain",), list(self.adapt.values()), [], lines)
            stages.append(replace(adapt, pairs={"data": len(self.adapt)}))
            pairs = {"adapt": len(self.adapt)}
        stages.append(replace(self._scripted("convert", ("pretrain",), self._convert_commands(models)), pairs=pairs))
        gpus = config.evaluate.tensor_parallel * config.evaluate.replicas
        gpu = [f"--gpus-per-node={gpus}"] if config.evaluate.engine == "vllm" else []
        evaluate = self._scripted("evaluate", (), self._evaluate_commands(models), gpu)
        stages.append(replace(evaluate, pairs={"convert": len(models)}))
        words = ["tools/report.py", "--output", str(run / "report")]
        for name in ("pretrain", *self.adapt):
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
            for option in ("tensor_parallel", "replicas"):
                if (value := getattr(evaluate, option)) > 1:
                    words += [f"--{option.replace('_', '-')}", str(value)]
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

    def check_inputs(self) -> None:
        """Raise UserError if what the chain starts from is not there."""
        for key in ("model", "tokenizer"):
            if (path := getattr(self.config, key)) and not Path(path).exists():
                raise UserError(f"{key} {path} is not there; check the path")


def _path_or_name(preset: str) -> str:
    """A preset of the package by its name, a file by its whole path."""
    return str(Path(preset).absolute()) if preset.endswith((".yaml", ".yml")) else preset
