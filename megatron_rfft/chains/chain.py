"""From rules to a report as stages: what each task runs, what it needs, what it leaves."""

import shlex
from collections.abc import Collection, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from megatron_rfft.chains.config import PRETRAIN, STAGES, ChainConfig, for_stage
from megatron_rfft.chains.general import evaluate_command, general_of, report_words, tokenize_commands
from megatron_rfft.chains.models import DataSet, Models, Training
from megatron_rfft.chains.report import report_command
from megatron_rfft.chains.stage import Stage, Task, missing_tasks
from megatron_rfft.common.errors import UserError

ROOT = Path(__file__).resolve().parents[2]
"""The checkout, where the tasks run."""
TORCHRUN = "-m torch.distributed.run --standalone --nproc-per-node"


class Chain:
    """The stages of ``config``, and which of their tasks are wanted: for ``arms`` (none: all), up to stage ``until``.

    Raises UserError if there is no such arm or stage.
    """

    def __init__(self, config: ChainConfig, *, arms: Collection[str] = (), until: str = "report"):
        self.config, self.models = config, Models(config)
        self.run = self.models.run
        self.data, self.scripts = self.run / "data", self.run / "chain"
        for name in arms:
            if name not in self.models.arms:
                raise UserError(f"there is no arm {name!r}; arms are {', '.join(self.models.arms)}")
        if until not in STAGES:
            raise UserError(f"there is no stage {until!r}; stages are {', '.join(STAGES)}")
        self.arms, self.until = set(arms or self.models.arms), until
        own = Path(config.tokenizer or config.model).absolute() if not config.vocabulary else None
        self.tokenizer = str(own or self.data / "tokenizer.model")
        self.stages = [stage for stage in self._stages() if stage.tasks]

    def stage(self, name: str) -> Stage:
        """The stage of that name."""
        return next(stage for stage in self.stages if stage.name == name)

    def missing(self) -> dict[str, list[int]]:
        """The tasks of each stage that are wanted and not done."""
        wanted = missing_tasks(self.stages, ("report", 0))
        before = STAGES[: STAGES.index(self.until) + 1]
        return {name: numbers if name in before else [] for name, numbers in wanted.items()}

    # the stages

    def _stages(self) -> list[Stage]:
        models = self.models
        written = models.corpora or (models.data_sets if self.config.vocabulary else [])
        corpora = {data.name: number for number, data in enumerate(written)}
        tokenize = self._tokenize(corpora)
        data = self._data_sets(corpora)
        return [
            self._scripted(
                "generate", [self._generate(each) for each in written], is_array=len(written) > 1, quick=True
            ),
            self._scripted("vocabulary", self._vocabulary(corpora), is_array=False, quick=True),
            self._scripted(
                "tokenize", tokenize, ["--cpus-per-task=16"], quick=True, coarse=self.config.corpus.parts > 1
            ),
            self._scripted("data", data, quick=True),
            self._scripted("from-hf", self._from_hf(), is_array=False),
            self._pretrain(tokenize, data),
            self._adapt(data),
            self._scripted("convert", self._convert(), pairs=["adapt"]),
            self._scripted("evaluate", self._evaluate(), self._gpus(), pairs=["convert"]),
            self._scripted("general", self._evaluate_general(), self._gpus()),
            self._scripted("report", [self._report()], is_array=False),
        ]

    def _generate(self, data: DataSet) -> Task:
        output = self.run / "corpus" / data.name
        words = ["data_prep/generate.py", "--preset", _path_or_name(data.preset), *data.options]
        return self._task(data.name, [[*words, "--output", str(output)]], [output / "manifest.json"])

    def _vocabulary(self, corpora: dict[str, int]) -> list[Task]:
        if (vocabulary := self.config.vocabulary) is None:
            return []
        names = [data.name for data in self.models.vocabulary_sources]
        words = ["data_prep/train_tokenizer.py", "--input", *(str(self.run / "corpus" / name) for name in names)]
        words += ["--vocab-size", str(vocabulary.size), "--max-records", str(vocabulary.max_records)]
        needs = {"generate": [corpora[name] for name in names]}
        command = [*words, "--output", self.tokenizer]
        return [self._task("vocabulary", [command], [Path(self.tokenizer)], needs)]

    def _needs_of_tokenizing(self, data: DataSet, corpora: dict[str, int]) -> dict[str, list[int]]:
        needs = {"generate": [corpora[data.name]]} if data.name in corpora else {}
        return needs | ({"vocabulary": [0]} if self.config.vocabulary else {})

    def _tokenize(self, corpora: dict[str, int]) -> list[Task]:
        tasks = []
        for data in self.models.corpora:
            words = ["data_prep/tokenize_corpus.py", "--input", str(self.run / "corpus" / data.name)]
            words += ["--tokenizer", self.tokenizer, *self.config.corpus.tokenize]
            words += ["--output", str(self.data / data.name)]
            parts, made = self.config.corpus.parts, Path(f"{self.data / data.name}.manifest.json")
            for part in range(parts):
                name = f"{data.name} {part + 1} of {parts}" if parts > 1 else data.name
                share = ["--shard", f"{part}/{parts}"] if parts > 1 else []
                needs = self._needs_of_tokenizing(data, corpora)
                tasks.append(self._task(name, [[*words, *share]], [made], needs))
        return tasks

    def _data_sets(self, corpora: dict[str, int]) -> list[Task]:
        """Those of adaptations, that of the validation, and the general ones."""
        tasks = []
        wanted = list(self.models.data_sets)
        if self.config.corpus.validation and self.models.pretrained:
            wanted.append(DataSet("validation", self.config.corpus.validation, ()))
        for data in wanted:
            source = ["--preset", _path_or_name(data.preset), *data.options]
            if data.name in corpora:
                source = ["--input", str(self.run / "corpus" / data.name)]
            words = ["data_prep/tokenize_corpus.py", *source, "--tokenizer", self.tokenizer]
            words += [*self.config.corpus.tokenize, "--output", str(self.data / data.name)]
            made = Path(f"{self.data / data.name}.manifest.json")
            tasks.append(self._task(data.name, [words], [made], self._needs_of_tokenizing(data, corpora)))
        return tasks + self._general_data()

    def _general_data(self) -> list[Task]:
        needs = {"vocabulary": [0]} if self.config.vocabulary else {}
        commands = tokenize_commands(self.config, self.run, self.tokenizer)
        return [self._task(name, [words], [made], needs) for name, words, made in commands]

    def _from_hf(self) -> list[Task]:
        if not self.config.model:
            return []
        words = ["tools/convert.py", "from-hf", "--model", str(Path(self.config.model).absolute())]
        base = self.run / "base"
        return [self._task("model", [[*words, "--output", str(base)]], [base / "manifest.json"])]

    def _pretrain(self, tokenize: list[Task], data: list[Task]) -> Stage:
        runs, parts = list(self.models.pretrained.values()), self.config.corpus.parts
        first = {corpus.name: number * parts for number, corpus in enumerate(self.models.corpora)}
        tasks = []
        for run in runs:
            needs = {"tokenize": list(range(first[run.data.name], first[run.data.name] + parts))}
            if read := self._also_read(data, PRETRAIN, ["validation"] if self.config.corpus.validation else []):
                needs["data"] = read
            tasks.append(_training_task(run, needs | ({"from-hf": [0]} if self.config.model else {})))
        return self._train("pretrain", tasks, runs, is_array=len(runs) > 1)

    def _also_read(self, data: list[Task], stage: str, names: list[str]) -> list[int]:
        """The tasks of stage data that a training needs: those called ``names``, and the general data of its stage."""
        numbers = {task.name: number for number, task in enumerate(data)}
        return [numbers[name] for name in (*names, *(f"general/{each}" for each in general_of(self.config, stage)))]

    def _adapt(self, data: list[Task]) -> Stage:
        runs = list(self.models.adapted.values())
        starts = {run.name: number for number, run in enumerate(self.models.pretrained.values())}
        tasks = []
        for run in runs:
            needs = {"data": self._also_read(data, "adapt", [run.data.name])}
            if run.start:
                needs["pretrain"] = [starts[run.start.name]]
            elif self.config.model:
                needs["from-hf"] = [0]
            tasks.append(_training_task(run, needs))
        own = all(task.needs["data"] == [number] for number, task in enumerate(tasks))
        return self._train("adapt", tasks, runs, is_array=True, pairs=["data"] if own else [])

    def _convert(self) -> list[Task]:
        """A task for each adaptation (all its checkpoints), then for each RF-pretrained model that is asked itself."""
        tasks, models = [], self.models
        starts = {key: number for number, key in enumerate(models.pretrained)}
        needs = [{"adapt": [number]} for number in range(len(models.adapted))]
        needs += [{"pretrain": [starts[key]]} for key in models.asked_as_they_are]
        for exports, need in zip(models.exports, needs, strict=True):
            commands, made = [], []
            for export in exports:
                output = self.run / "models" / export.name
                words = ["tools/convert.py", "to-hf", "--checkpoint", str(export.checkpoint)]
                commands.append([*words, "--output", str(output)])
                made.append(output / "megatron_rfft.json")
            tasks.append(self._task(exports[-1].name, commands, made, need))
        return tasks

    def _evaluate(self) -> list[Task]:
        """A task for each one of convert, then those of the chain's own model."""
        evaluate, tasks = self.config.evaluate, []
        for number, questions in enumerate(self.models.questions):
            commands, made = [], []
            for asked in questions:
                model = self.run / "models" / asked.model if asked.model else Path(self.config.model).absolute()
                words = ["tools/evaluate.py", "--model", str(model), "--engine", evaluate.engine]
                words += ["--tasks", ",".join(asked.tasks), "--lengths", evaluate.lengths]
                words += ["--samples", str(evaluate.samples)] + (["--form", asked.form] if asked.form else [])
                words += ["--chat"] if not asked.model and "--chat" in self.config.corpus.tokenize else []
                for option in ("tensor_parallel", "replicas"):
                    if (value := getattr(evaluate, option)) > 1:
                        words += [f"--{option.replace('_', '-')}", str(value)]
                output = self.run / "evaluation" / asked.name
                commands.append([*words, *evaluate.options, "--output", str(output)])
                made.append(self.models.results(asked.name))
            needs = {"convert": [number]} if questions[0].model else {}
            tasks.append(self._task(questions[-1].name, commands, made, needs))
        return tasks

    def _evaluate_general(self) -> list[Task]:
        """A task for each model that is asked general tasks; the chain's own needs nothing."""
        exports = {exports[-1].name: number for number, exports in enumerate(self.models.exports)}
        tasks = []
        for name in self.models.asked_in_general(self.models.arms):
            words, made = evaluate_command(self.config, self.run, name)
            needs = {"convert": [exports[name]]} if name in exports else {}
            tasks.append(self._task(name, [words], [made], needs))
        return tasks

    def _gpus(self) -> list[str]:
        evaluate = self.config.evaluate
        return [f"--gpus-per-node={evaluate.tensor_parallel * evaluate.replicas}"] if evaluate.engine != "hf" else []

    def _report(self) -> Task:
        numbers = {asked.name: n for n, questions in enumerate(self.models.questions) for asked in questions}
        words, evaluations = report_command(self.models, self.arms)
        general = self.models.asked_in_general(self.arms)
        every = self.models.asked_in_general(self.models.arms)
        words += report_words(self.run, general)
        made = [self.models.results(name) for name in evaluations]
        made += [evaluate_command(self.config, self.run, name)[1] for name in general]
        page, script = self.run / "report" / "report.html", _script([words])
        written = self.scripts / "report" / "0.sh"

        def is_done() -> bool:
            """It shows the newest results of all that it is to show."""
            if not all(file.is_file() for file in (page, written, *made)) or written.read_text() != script:
                return False
            return all(file.stat().st_mtime <= page.stat().st_mtime for file in made)

        needs = {"evaluate": sorted({numbers[name] for name in evaluations})}
        return Task(
            "report", script, is_done, needs | ({"general": [every.index(name) for name in general]} if general else {})
        )

    # their form

    def _task(
        self, name: str, commands: list[list[str]], made: list[Path], needs: dict[str, list[int]] | None = None
    ) -> Task:
        """A task of ``commands`` (scripts and their options) that is done when all that is ``made`` is there."""
        return Task(name, _script(commands), partial(_are_files, made), needs or {})

    def _scripted(
        self,
        name: str,
        tasks: list[Task],
        options: Sequence[str] = (),
        *,
        is_array: bool = True,
        pairs: Collection[str] = (),
        quick: bool = False,
        coarse: bool = False,
    ) -> Stage:
        """A stage of tasks that slurm/stage.sbatch runs."""
        folder = self.scripts / name
        stage = Stage(
            name,
            tasks,
            folder,
            is_array,
            "stage.sbatch",
            [str(folder)],
            options=[*options, *self._options(name, is_array=is_array)],
            variables=self._variables(name),
            pairs=frozenset(pairs),
            is_quick=quick,
            is_coarse=coarse,
        )
        return replace(stage, files=stage.scripts)

    def _train(
        self, name: str, tasks: list[Task], runs: list[Training], *, is_array: bool, pairs: Collection[str] = ()
    ) -> Stage:
        """A stage of training runs, each of them a job of slurm/train.sbatch: in an array, a line of options each."""
        section, file = getattr(self.config, name), self.scripts / f"{name}.options"
        variables, files, arguments = self._variables(name), {}, []
        if is_array:
            variables = variables | {"OPTIONS_FILE": str(file)}
            files = {file: "".join(f"{shlex.join(self._words(run, section.config))}\n" for run in runs)}
        elif runs:
            arguments = self._words(runs[0], section.config)
        return Stage(
            name,
            tasks,
            self.scripts / name,
            is_array,
            "train.sbatch",
            [str(Path(section.config or ".").absolute()), *arguments],
            files,
            [f"--nodes={section.nodes}", *self._options(name, is_array=is_array)],
            variables,
            frozenset(pairs),
        )

    def _words(self, run: Training, file: str | None) -> list[str]:
        """Of the last --config the trainer reads the file: one of its own stands for that of the stage."""
        return ([] if run.file == file else ["--config", str(Path(run.file).absolute())]) + run.options

    def _options(self, name: str, *, is_array: bool) -> list[str]:
        folder = str(self.scripts).replace("%", "%%")
        log = f"--output={folder}/{name}-{'%A_%a' if is_array else '%j'}.log"
        return [log, *self.config.slurm.all, *self.config.slurm.stages.get(name, [])]

    def _variables(self, name: str) -> dict[str, str]:
        return self.config.slurm.variables | for_stage(self.config.slurm.stage_variables, name)

    def check_inputs(self) -> None:
        """Raise UserError if what the chain starts from is not there, or a finished run lacks what is asked of it."""
        for key in ("model", "tokenizer"):
            if (path := getattr(self.config, key)) and not Path(path).exists():
                raise UserError(f"{key} {path} is not there; check the path")
        for name, section in self.config.general.items():
            if not Path(section.path).is_file():
                raise UserError(f"general.{name}.path {section.path} is not there; check the path")
        for (arm, _, _), run in self.models.adapted.items():
            lost = [step for step in run.checkpoints if step and not run.checkpoint_at(step).is_dir()]
            if arm in self.arms and lost and run.is_done():
                raise UserError(
                    f"{run.output} is finished and has no checkpoint of step {lost[0]}; remove it to train it again"
                )


def _training_task(run: Training, needs: dict[str, list[int]]) -> Task:
    words = shlex.join(["--config", str(Path(run.file).absolute()), *run.options])
    script = f'set -eu\nexec "$PYTHON" {TORCHRUN} "${{WORKERS:-1}}" -m megatron_rfft.train {words}\n'
    return Task(run.name.removeprefix("adapt/"), script, run.is_done, needs, run.output, run.tokens)


def _script(commands: list[list[str]]) -> str:
    """A shell script that runs ``commands``, each a script of this project with its options."""
    lines = []
    for words in commands:
        takes_workers = words[0].startswith("data_prep/") and "train_tokenizer" not in words[0]
        workers = ' --workers "${WORKERS:-1}"' if takes_workers else ""
        lines.append(f'"$PYTHON" {shlex.join(words)}{workers}\n')
    return "".join(["set -eu\n", *lines])


def _are_files(paths: Sequence[Path]) -> bool:
    return all(path.is_file() for path in paths)


def _path_or_name(preset: str) -> str:
    """A preset of the package by its name, a file by its whole path."""
    return str(Path(preset).absolute()) if preset.endswith((".yaml", ".yml")) else preset
