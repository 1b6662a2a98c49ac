"""What a chain trains and what it asks: each arm's runs, data sets and checkpoints, for every task and seed."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from megatron_rfft.chains.config import BASE, KNOWN_ARMS, PRETRAIN, ArmSection, ChainConfig
from megatron_rfft.chains.general import asked_models, training_data
from megatron_rfft.common.errors import UserError
from megatron_rfft.training.checkpoint_files import BEST, checkpoint_name
from megatron_rfft.training.config import TrainConfig
from megatron_rfft.training.config_reader import as_override, load_config
from megatron_rfft.training.run_state import why_done


@dataclass(frozen=True)
class DataSet:
    """Documents of a preset: RUN/corpus/NAME where they are written out, RUN/data/NAME when they are tokenized."""

    name: str
    preset: str
    options: tuple[str, ...]


@dataclass(frozen=True)
class Training:
    """A training run of the chain: what it is told, and what it leaves."""

    name: str
    """Its folder below RUN."""
    output: Path
    file: str
    """Its YAML file."""
    options: list[str]
    config: TrainConfig
    data: DataSet
    start: "Training | None"
    """The run whose checkpoint it starts from; None: the chain's model, or random weights."""
    checkpoints: tuple[int, ...] = ()
    """Steps that are measured besides the last."""

    @property
    def checkpoint(self) -> Path:
        """The one to go on from: the best on validation data, else the last."""
        return (
            self.output
            / "checkpoints"
            / (BEST if self.config.validation.data else checkpoint_name(self.config.run.steps))
        )

    @property
    def tokens(self) -> int:
        """Tokens of all its steps, at most, for an estimate of how long it takes."""
        return self.config.run.steps * self.config.batch.global_batch_size * self.config.data.sequence_length

    def checkpoint_at(self, step: int | None) -> Path:
        """The one after ``step``; None: the one to go on from."""
        return self.checkpoint if step is None else self.output / "checkpoints" / checkpoint_name(step)

    def is_done(self) -> bool:
        """Nothing is left to train."""
        return bool(why_done(self.config, self.output))


@dataclass(frozen=True)
class Export:
    """A checkpoint as a Hugging Face folder, RUN/models/NAME."""

    name: str
    checkpoint: Path


@dataclass(frozen=True)
class Questions:
    """An evaluation, RUN/evaluation/NAME."""

    name: str
    model: str
    """An export's name; "": the chain's own model."""
    tasks: tuple[str, ...]
    form: str | None


class Models:
    """All of ``config``: its arms in full, and what is trained and asked for them."""

    def __init__(self, config: ChainConfig):
        self.config, self.run = config, Path(config.run).absolute()
        self.seeds: list[int | None] = list(config.seeds) or [None]
        tasks = config.adapted
        self.targets = {"all": tasks} if config.adapt.together else {task: [task] for task in tasks}
        self.asked = tuple(config.evaluate.tasks or tasks)
        self.arms = self._arms()
        self._check_report()
        self.pretrained = {(name, seed): run for name in self._starts() for seed, run in self._pretrain(name)}
        self.adapted = dict(self._adaptations())
        self.exports: list[list[Export]] = [
            [Export(_at(run.name.removeprefix("adapt/"), step), run.checkpoint_at(step)) for step in _measured(run)]
            for run in self.adapted.values()
        ]
        """Of each adaptation, then of each RF-pretrained model that is asked itself."""
        self.asked_as_they_are = [key for key in self.pretrained if any(True for _ in self._forms_of(*key))]
        self.exports += [[Export(run.name, run.checkpoint)] for run in map(self.pretrained.get, self.asked_as_they_are)]
        self.questions = self._questions()
        if config.evaluate_general.tasks and self.asked_in_general(self.arms) in ([], [BASE]):
            raise UserError(
                "evaluate_general has tasks and no trained model to ask; set adapted: true, or add the arm zero-shot"
            )

    # arms

    def _arms(self) -> dict[str, ArmSection]:
        config = self.config
        default = ["zero-shot", *(["meta"] if config.adapt.tasks else [])] if config.pretrain.config else ["vanilla"]
        given = config.arms or dict.fromkeys(default, ArmSection())
        return {name: self._resolve(name, arm) for name, arm in given.items()}

    def _resolve(self, name: str, arm: ArmSection) -> ArmSection:
        """``arm`` with everything set that it takes from KNOWN_ARMS and adapt. Raises UserError if it can't be run."""
        adapt, known = self.config.adapt, KNOWN_ARMS.get(name, ArmSection(title=name, adapted=True))
        start = arm.start or known.start
        names = [BASE, *([PRETRAIN] if self.config.pretrain.config else []), *self.config.pretrain.variants]
        if start not in names:
            missing = f"arms.{name} starts from {start!r}" if start else f"arms.{name}.start is not set"
            raise UserError(f"{missing}; it may be {', '.join(names)} (others are made by pretrain.variants)")
        adapted = known.adapted if arm.adapted is None else arm.adapted
        if adapted and not adapt.tasks:
            raise UserError(
                f"arms.{name} is adapted, but there is nothing to adapt to; set adapt.tasks and adapt.config"
            )
        if not adapted and start == BASE and not self.config.model:
            raise UserError(f"arms.{name} would be asked with random weights; set its start, or adapted: true")
        steps = sorted(set(adapt.checkpoints if arm.checkpoints is None else arm.checkpoints)) if adapted else []
        if steps and steps[0] < 0:
            raise UserError(f"arms.{name}.checkpoints has {steps[0]}; steps count from 0")
        if 0 in steps and start == BASE and not self.config.model:
            raise UserError(f"arms.{name} starts from scratch, which says nothing at step 0; give it other checkpoints")
        return ArmSection(
            title=arm.title or known.title,
            about=arm.about,
            plotted=arm.plotted,
            start=start,
            adapted=adapted,
            form=arm.form or known.form,
            preset=arm.preset,
            preset_options=arm.preset_options,
            config=arm.config or adapt.config,
            options=[*adapt.options, *arm.options],
            checkpoints=steps,
            seeds=self._seeds_of(name, arm),
        )

    def _seeds_of(self, name: str, arm: ArmSection) -> list[int | None]:
        """The chain's seeds that ``arm`` is trained with. Raises UserError if it names others."""
        if arm.seeds is None:
            return self.seeds
        if not arm.seeds or not set(arm.seeds) <= set(self.seeds):
            raise UserError(f"arms.{name}.seeds is {arm.seeds}; name some of the chain's seeds, {self.config.seeds}")
        return [seed for seed in self.seeds if seed in arm.seeds]

    def _check_report(self) -> None:
        """Raise UserError if the report is to show what there is not, or two arms under one name."""
        for title, lines in self.config.report.curves.items():
            for arm in (arm for points in lines.values() for arm in points.values()):
                if arm not in self.arms:
                    raise UserError(f"report.curves: {title!r} has arm {arm!r}; arms are {', '.join(self.arms)}")
        titles = [arm.title for arm in self.arms.values()]
        if len(set(titles)) < len(titles):
            raise UserError(f"the report's lines are {', '.join(titles)}; give each arm a title of its own")
        if not any(arm.plotted for arm in self.arms.values()):
            raise UserError(f"the report would show nothing; let one of {', '.join(self.arms)} be plotted")

    def _starts(self) -> list[str]:
        """RF-pretrained models that an arm starts from."""
        wanted = {arm.start for arm in self.arms.values()}
        return [name for name in (PRETRAIN, *self.config.pretrain.variants) if name in wanted]

    def _forms_of(self, start: str, seed: int | None) -> Iterator[str | None]:
        """The forms in which a model is asked that is not adapted (None: its own), each once."""
        arms = [arm for arm in self.arms.values() if arm.start == start and seed in arm.seeds]
        yield from dict.fromkeys(arm.form for arm in arms if not arm.adapted or 0 in arm.checkpoints)

    # training

    def _pretrain(self, start: str) -> Iterator[tuple[int | None, Training]]:
        """The runs of an RF-pretraining, one for each seed of the arms that start from it."""
        section, corpus = self.config.pretrain, self.config.corpus
        variant = section.variants.get(start)
        name = PRETRAIN if variant is None else f"{PRETRAIN}-{start}"
        preset, options, more = corpus.preset, corpus.options, []
        file = section.config
        if variant is not None:
            preset, options, more = variant.preset or preset, [*options, *variant.corpus], variant.options
            file = variant.config or file
        data = DataSet(name, preset, tuple(options))
        words = ["--validation.data", as_override(str(self.run / "data" / "validation"))] if corpus.validation else []
        words += ["--checkpoint.load", str(self.run / "base")] if self.config.model else []
        arms = [arm for arm in self.arms.values() if arm.start == start]
        for seed in (seed for seed in self.seeds if any(seed in arm.seeds for arm in arms)):
            told = [*words, *section.options, *more]
            yield seed, self._training(PRETRAIN, _of(name, seed), file, data, told, seed)

    def _adaptations(self) -> Iterator[tuple[tuple[str, str, int | None], Training]]:
        """The runs of each arm, target and seed, those of a seed together."""
        for seed in self.seeds:
            for name, arm in self.arms.items():
                for target in self.targets if arm.adapted and seed in arm.seeds else ():
                    start = self.pretrained.get((arm.start, seed))
                    words = []
                    if start or self.config.model:
                        words = ["--checkpoint.load", str(start.checkpoint if start else self.run / "base")]
                    run = self._training(
                        "adapt",
                        _of(f"adapt/{name}/{target}", seed),
                        arm.config,
                        self._data_of(name, arm, target),
                        [*words, *arm.options],
                        seed,
                        start,
                        arm.checkpoints,
                    )
                    yield (name, target, seed), run

    def _training(
        self,
        stage: str,
        name: str,
        file: str,
        data: DataSet,
        options: list[str],
        seed: int | None,
        start: Training | None = None,
        checkpoints: Sequence[int] = (),
    ) -> Training:
        """The run in the folder ``name``, told ``options`` besides what all runs are told."""
        sources = training_data(self.config, self.run, self.run / "data" / data.name, stage)
        words = ["--run.output", str(self.run / name), "--data.train", sources, *options]
        words += [] if seed is None else ["--run.seed", str(seed)]
        config = load_config(file, words)
        if at := [step for step in checkpoints if step]:
            if at[-1] > config.run.steps:
                raise UserError(f"{name} ends at step {config.run.steps}; there is no checkpoint {at[-1]} to measure")
            words += ["--checkpoint.at", str(at)]
            config = load_config(file, words)
        steps = tuple(step for step in checkpoints if step != config.run.steps)
        return Training(name, self.run / name, file, words, config, data, start, steps)

    def _data_of(self, name: str, arm: ArmSection, target: str) -> DataSet:
        """Arms that change nothing about the data share it."""
        adapt = self.config.adapt
        own = f"adapt-{name}" if arm.form or arm.preset or arm.preset_options else "adapt"
        options = ["--tasks", ",".join(self.targets[target]), *adapt.preset_options, *arm.preset_options]
        options += ["--form", arm.form] if arm.form else []
        return DataSet(f"{own}/{target}", arm.preset or adapt.preset, tuple(options))

    @property
    def data_sets(self) -> list[DataSet]:
        """Of all adaptations, each once."""
        return list({run.data.name: run.data for run in self.adapted.values()}.values())

    @property
    def corpora(self) -> list[DataSet]:
        """Of all RF-pretraining, each once."""
        return list({run.data.name: run.data for run in self.pretrained.values()}.values())

    @property
    def vocabulary_sources(self) -> list[DataSet]:
        """What a vocabulary is trained on: the corpus of RF-pretraining, or without one all data of adaptations.

        So no line of a target's rule is a piece that RF-pretraining never met: such a piece is hardly learned in the
        few steps of an adaptation.
        """
        main = [run.data for (start, _), run in self.pretrained.items() if start == PRETRAIN]
        return main[:1] or self.corpora or self.data_sets

    # what is asked

    def _questions(self) -> list[list[Questions]]:
        """For each list of exports its evaluations, then those of the chain's model itself."""
        lists = []
        for (arm, target, _), exports in zip(self.adapted, self.exports, strict=False):
            tasks, form = tuple(self.targets[target]), self.arms[arm].form
            lists.append([Questions(export.name, export.name, tasks, form) for export in exports])
        for key in self.asked_as_they_are:
            name = self.pretrained[key].name
            forms = self._forms_of(*key)
            lists.append([Questions(_in_form(name, form), name, self.asked, form) for form in forms])
        forms = list(dict.fromkeys(form for seed in self.seeds for form in self._forms_of(BASE, seed)))
        forms = forms if self.config.model else []
        return lists + [[Questions(_in_form(BASE, form), "", self.asked, form or "rule")] for form in forms]

    def evaluations(self, arm: str, seed: int | None, step: int | None = None) -> tuple[str, ...]:
        """The evaluations of an arm, of different tasks each: after ``step`` of its adaptation; None: in the end."""
        about = self.arms[arm]
        if not about.adapted or step == 0:
            start = self.pretrained.get((about.start, seed))
            return (_in_form(start.name if start else BASE, about.form),)
        runs = [run for (own, _, of), run in self.adapted.items() if (own, of) == (arm, seed)]
        return tuple(_at(run.name.removeprefix("adapt/"), step if step in run.checkpoints else None) for run in runs)

    def asked_in_general(self, arms: Collection[str]) -> list[str]:
        """Names of the models of ``arms`` that are asked general tasks: BASE, or those of exports."""
        chosen = [self.arms[name] for name in arms]
        starts = {arm.start for arm in chosen if not arm.adapted or 0 in arm.checkpoints}
        as_they_are = [self.pretrained[key].name for key in self.asked_as_they_are if key[0] in starts]
        pairs = zip(self.adapted, self.exports, strict=False)
        return asked_models(self.config, as_they_are, [exports[-1].name for (arm, *_), exports in pairs if arm in arms])

    def results(self, evaluation: str) -> Path:
        """What an evaluation leaves last."""
        return self.run / "evaluation" / evaluation / "results.json"

    def steps(self, arm: str) -> list[int]:
        """Steps of adaptation after which an arm is measured; none if it is measured in the end alone."""
        runs = [run for (own, _, _), run in self.adapted.items() if own == arm]
        return [*runs[0].checkpoints, runs[0].config.run.steps] if runs and runs[0].checkpoints else []


def _measured(run: Training) -> list[int | None]:
    """The steps of a run that are exported; None: the last one, or the best."""
    return [*(step for step in run.checkpoints if step), None]


def _of(name: str, seed: int | None) -> str:
    return name if seed is None else f"{name}/seed-{seed}"


def _at(name: str, step: int | None) -> str:
    return name if step is None else f"{name}-step-{step}"


def _in_form(name: str, form: str | None) -> str:
    return name if form is None else f"{name}-{form}"
