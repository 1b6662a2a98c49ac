"""A chain's configuration: nested dataclasses, one YAML file, unknown keys refused."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from annotated_types import MinLen

from megatron_rfft.common.cli import parse_lengths
from megatron_rfft.common.errors import UserError
from megatron_rfft.common.yaml_config import (
    AboveZero,
    ListOf,
    Natural,
    Positive,
    Section,
    TextLoader,
    build_config,
    read_yaml,
)
from megatron_rfft.tasks import FORMS, load_task, task_names

STAGES = (
    "generate",
    "vocabulary",
    "tokenize",
    "data",
    "from-hf",
    "pretrain",
    "adapt",
    "convert",
    "evaluate",
    "general",
    "report",
)
"""Of a chain, in order; one that has nothing to do is left out."""
Stage = Literal[*STAGES]
Engine = Literal["auto", "vllm", "hf"]
BASE, PRETRAIN = "base", "pretrain"
"""Where an arm may start: the chain's model (or random weights), the RF-pretrained one, or a variant by its name."""


@dataclass(frozen=True)
class CorpusSection(Section):
    """What RF-pretraining reads."""

    preset: str = "rf-pretrain"
    """Preset of rfft generate, or a YAML file of that form."""
    options: ListOf[str] = field(default_factory=list)
    """More options of rfft generate, such as [--form, lean]."""
    parts: Positive = 4
    """Tasks that share the tokenizing of it."""
    validation: str | None = "validation"
    """Preset of the validation data; null: the config's own validation section stands."""
    tokenize: ListOf[str] = field(default_factory=list)
    """More options of rfft tokenize for every data set, such as [--chat]."""


@dataclass(frozen=True)
class VocabularySection(Section):
    """A tokenizer of the chain's own (rfft train-tokenizer), from the corpus of RF-pretraining.

    Without RF-pretraining it is made from the data of all adaptations."""

    size: Positive = 1024
    """Pieces in all."""
    max_records: Positive = 20000
    """Records read from the corpus, from its start."""


@dataclass(frozen=True)
class TrainSection(Section):
    """A training stage."""

    config: str | None = None
    """The run's YAML file; null: the stage is left out."""
    nodes: Positive = 1
    """Nodes of a Slurm job."""
    options: ListOf[str] = field(default_factory=list)
    """Keys to change, such as [--run.steps, "100"]. Output, data, starting weights and seeds are the chain's."""


@dataclass(frozen=True)
class VariantSection(Section):
    """Another RF-pretraining, for arms of its own. What is not set is as in corpus and pretrain."""

    preset: str | None = None
    """Preset of its corpus."""
    corpus: ListOf[str] = field(default_factory=list)
    """Options of rfft generate that come after (and so win over) corpus.options."""
    config: str | None = None
    """The run's YAML file."""
    options: ListOf[str] = field(default_factory=list)
    """Keys to change after pretrain.options."""


@dataclass(frozen=True)
class PretrainSection(TrainSection):
    """RF-pretraining. Without a config there is none, and all arms start from the model or from scratch."""

    variants: dict[str, VariantSection] = field(default_factory=dict)
    """Others beside it, by name: an arm starts from one by that name (start: NAME)."""


@dataclass(frozen=True)
class AdaptSection(TrainSection):
    """Adaptation: for each arm a run for each task."""

    tasks: ListOf[str] = field(default_factory=list)
    """Names, or [test] for all that are held out."""
    together: bool = False
    """One run on all tasks at once instead of one for each."""
    preset: str = "adapt"
    """Preset of their data."""
    preset_options: ListOf[str] = field(default_factory=list)
    """Options that change it, such as [--form, lean, --samples, "50"]."""
    checkpoints: ListOf[Natural] = field(default_factory=list)
    """Steps after which the model is measured too, besides the last; 0: the model that the run starts from."""


@dataclass(frozen=True)
class ArmSection(Section):
    """A way to a model that answers. What is not set is as in adapt; the arms that the paper knows have a start and a
    form of their own (see KNOWN_ARMS)."""

    title: str | None = None
    """Its name in the report."""
    about: str | None = None
    """What it is, beside its name in the report's legend."""
    plotted: bool = True
    """false: the report shows it in curves alone, unless it is asked for by name."""
    start: str | None = None
    """base (the chain's model, or random weights), pretrain, or a name of pretrain.variants."""
    adapted: bool | None = None
    """false: the model that it starts from is asked as it is."""
    form: Literal[*FORMS] | None = None
    """Form of its data and questions; null: the preset's, and the one that the model was trained in."""
    preset: str | None = None
    """Preset of its data."""
    preset_options: ListOf[str] = field(default_factory=list)
    """Options after adapt.preset_options."""
    config: str | None = None
    """YAML file of its runs."""
    options: ListOf[str] = field(default_factory=list)
    """Keys to change after adapt.options."""
    checkpoints: ListOf[Natural] | None = None
    """Instead of adapt.checkpoints."""
    seeds: ListOf[Natural] | None = None
    """Some of the chain's seeds, such as [1] for an ablation; null: all of them."""


KNOWN_ARMS = {
    "direct": ArmSection(title="direct answer", start=BASE, adapted=True, form="direct"),
    "scratchpad": ArmSection(title="scratchpad", start=BASE, adapted=True, form="scratchpad"),
    "vanilla": ArmSection(title="vanilla RFFT", start=BASE, adapted=True),
    "meta": ArmSection(title="Meta-RFFT", start=PRETRAIN, adapted=True),
    "zero-shot": ArmSection(title="RF-pretrained, not adapted", start=PRETRAIN, adapted=False),
    "one-shot": ArmSection(title="one-shot Meta-RFFT", start="one-shot", adapted=False),
}
"""The paper's arms, and what they are if a chain does not say otherwise."""


@dataclass(frozen=True)
class EvaluateSection(Section):
    """What is asked in the end."""

    lengths: str = "2-30:2"
    """Lengths of the questions."""
    samples: Positive = 100
    """Questions of each task and length."""
    tasks: ListOf[str] = field(default_factory=list)
    """What models are asked that are not adapted; none: the tasks that others are adapted to."""
    engine: Engine = "vllm"
    """What generates the answers; auto: vLLM where it is installed, else transformers."""
    tensor_parallel: Positive = 1
    """GPUs that vLLM splits a model over."""
    replicas: Positive = 1
    """Processes that share the questions of a model, on tensor_parallel GPUs of their own each."""
    options: ListOf[str] = field(default_factory=list)
    """More options of rfft evaluate."""


@dataclass(frozen=True)
class GeneralSection(Section):
    """Conversations that are mixed into training, so that general ability is kept (paper, section 5)."""

    path: str
    """JSONL (plain, .gz, .zst) or Parquet of {"messages": [{"role": ..., "content": ...}, ...]}."""
    weight: AboveZero = 1.0
    """How often its documents appear in an epoch (data.train)."""
    stages: Annotated[ListOf[Literal["pretrain", "adapt"]], MinLen(1)] = field(default_factory=lambda: ["pretrain"])
    """What it is mixed into."""
    tokenize: ListOf[str] = field(default_factory=list)
    """More options of rfft tokenize, such as [--on-bad, skip]."""


@dataclass(frozen=True)
class EvaluateGeneralSection(Section):
    """Tasks of lm-evaluation-harness, asked of the chain's model and of the trained ones, by evaluate's engine."""

    tasks: ListOf[str] = field(default_factory=list)
    """Names, such as [gsm8k, arc_challenge]; none: nothing is asked."""
    include_path: str | None = None
    """Folder with tasks of one's own."""
    adapted: bool = False
    """Ask the adapted models too, not only those that are evaluated without adaptation (zero-shot)."""
    options: ListOf[str] = field(default_factory=list)
    """More options of rfft evaluate-general, such as [--limit, "200"]."""


@dataclass(frozen=True)
class ReportSection(Section):
    """What the page in the end says of itself."""

    title: str | None = None
    """Heading of the page and the plots; null: that of rfft report."""
    options: ListOf[str] = field(default_factory=list)
    """More options of rfft report."""
    curves: dict[str, dict[str, dict[str, str]]] = field(default_factory=dict)
    """Plots against what was varied: {title: {line: {value: arm}}}. Checkpoints of adaptation have theirs anyway."""


@dataclass(frozen=True)
class SlurmSection(Section):
    """Options of sbatch, which come after (and so win over) those of the template."""

    all: ListOf[str] = field(default_factory=list)
    """For every job, such as [--partition=gpu, --account=lab]."""
    stages: dict[Stage, ListOf[str]] = field(default_factory=dict)
    """For the jobs of a stage (see STAGES): generate, tokenize, data, pretrain, adapt, convert, evaluate, ..."""
    variables: dict[str, str] = field(default_factory=dict)
    """For every job: PYTHON or CONTAINER, CONTAINER_MOUNTS, PROCESSES_PER_NODE, MAX_RESTARTS, PREFLIGHT, ..."""
    stage_variables: dict[Stage, dict[str, str]] = field(default_factory=dict)
    """For the jobs of a stage: evaluate wants a CONTAINER or PYTHON of its own where vLLM needs another torch."""


@dataclass(frozen=True)
class LocalSection(Section):
    """How one machine runs the chain (rfft submit --local)."""

    cores: Positive | None = None
    """Cores that the tasks share; null: all of this process."""
    gpus: Natural | None = None
    """GPUs that training and evaluation share; null: all that are visible; 0: none."""
    tasks_per_gpu: Positive = 1
    """Tasks that share a GPU at a time; small models leave room for several."""
    stages: dict[Stage, Positive] = field(default_factory=dict)
    """Cores (or, for training, GPUs) of a task of a stage: processes of a training, workers of generating and
    tokenizing, threads of the rest. 1 if not set; where the machine has fewer, all that it has."""
    engine: Engine | None = None
    """Instead of evaluate.engine."""
    variables: dict[str, str] = field(default_factory=dict)
    """For every task: PYTHON (default: the one that runs this), ..."""
    stage_variables: dict[Stage, dict[str, str]] = field(default_factory=dict)
    """For the tasks of a stage."""


@dataclass(frozen=True)
class ChainConfig(Section):
    """From rules to a report."""

    run: str
    """Folder of everything that the chain makes."""
    model: str | None = None
    """HF folder that training starts from; null: the training config's model from scratch."""
    tokenizer: str | None = None
    """HF folder or SentencePiece .model; null: the model's, or the one that vocabulary makes."""
    vocabulary: VocabularySection | None = None
    """A tokenizer of the chain's own instead."""
    seeds: ListOf[Natural] = field(default_factory=list)
    """Every training is done once with each; none: once, with its config's seed."""
    corpus: CorpusSection = field(default_factory=CorpusSection)
    pretrain: PretrainSection = field(default_factory=PretrainSection)
    adapt: AdaptSection = field(default_factory=AdaptSection)
    arms: dict[str, ArmSection] = field(default_factory=dict)
    """By name, in the report's order; none: zero-shot and meta, without RF-pretraining vanilla."""
    evaluate: EvaluateSection = field(default_factory=EvaluateSection)
    general: dict[str, GeneralSection] = field(default_factory=dict)
    """General data that is mixed in, by the name that its losses go by."""
    evaluate_general: EvaluateGeneralSection = field(default_factory=EvaluateGeneralSection)
    report: ReportSection = field(default_factory=ReportSection)
    slurm: SlurmSection = field(default_factory=SlurmSection)
    local: LocalSection = field(default_factory=LocalSection)

    def __post_init__(self) -> None:
        if wrong := [character for character in ",\\\n" if character in self.run]:
            raise UserError(
                f"run {self.run!r} has {wrong[0]!r} in it, which commands take for an end; name another folder"
            )
        if self.pretrain.config is None and self.adapt.config is None:
            raise UserError("neither pretrain.config nor adapt.config is set; give the YAML file of a run")
        sources = [name for name in ("tokenizer", "vocabulary") if getattr(self, name) is not None]
        if len(sources) == 2 or (self.vocabulary and self.model):
            raise UserError(
                f"vocabulary is set beside {'tokenizer' if len(sources) == 2 else 'model'}; give one of them"
            )
        if not sources and self.model is None:
            raise UserError(
                "neither model, tokenizer nor vocabulary is set; give an HF folder, or one of the others to start from "
                "scratch"
            )
        if len(set(self.seeds)) < len(self.seeds):
            raise UserError(f"seeds {self.seeds} has one twice; each is a run of its own")
        if (self.adapt.config is None) != (not self.adapt.tasks):
            raise UserError("adapt.config and adapt.tasks belong together; set both, or neither")
        parse_lengths(self.evaluate.lengths)
        if not (self.evaluate.tasks or self.adapt.tasks):
            raise UserError("there is nothing to evaluate; set adapt.tasks or evaluate.tasks")
        self._check_names()

    def _check_names(self) -> None:
        folders = {"arms": self.arms, "pretrain.variants": self.pretrain.variants, "general": self.general}
        for key, names in folders.items():
            for name in names:
                if not re.fullmatch(r"[A-Za-z0-9][\w.-]*", name):
                    raise UserError(f"{key}: {name!r} becomes a folder's name; use letters, digits, '-', '_' and '.'")
        for key, names in (("arms", self.arms), ("pretrain.variants", self.pretrain.variants)):
            if reserved := [name for name in names if name == BASE or name.startswith(PRETRAIN)]:
                raise UserError(f"{key}: {reserved[0]!r} has a meaning of its own; choose another name")
        if self.pretrain.variants and self.pretrain.config is None:
            raise UserError("pretrain.variants needs pretrain.config, which they vary")
        for name, arm in self.arms.items():
            if "=" in (arm.title or ""):
                raise UserError(f"arms.{name}.title is {arm.title!r}; the report takes none with '='")

    @property
    def adapted(self) -> list[str]:
        """Tasks that are adapted to. Raises UserError if there is no such task."""
        names = list(task_names(",".join(self.adapt.tasks))) if self.adapt.tasks else []
        if "--task-file" not in self.adapt.preset_options:
            for name in names:
                load_task(name)
        return names


def for_stage(variables: Mapping[str, dict[str, str]], stage: str) -> dict[str, str]:
    """The variables of a stage; general tasks are asked in the environment of evaluate unless they have their own."""
    return variables.get(stage, variables.get("evaluate", {}) if stage == "general" else {})


def load_chain(path: Path | str, *, run: Path | str | None = None) -> ChainConfig:
    """Read a chain's YAML file; ``run`` stands for its own. Raises UserError naming what is wrong."""
    values = _read(Path(path)) | ({} if run is None else {"run": str(run)})
    return build_config(ChainConfig, values)


def _read(path: Path, readers: tuple[Path, ...] = ()) -> dict[str, Any]:
    """A chain's values; the file that its key ``extends`` names, relative to it, says what it leaves out."""
    values = read_yaml(path, "give the chain's YAML file", TextLoader)
    if (base := values.pop("extends", None)) is None:
        return values
    if not isinstance(base, str) or (file := (path.parent / base).resolve()) in readers:
        raise UserError(f"{path}: extends is {base!r}; it must be another file's name")
    return _merged(_read(file, (*readers, path.resolve())), values)


def _merged(base: dict[str, Any], values: dict[str, Any]) -> dict[str, Any]:
    """``values`` over ``base``, section by section; a list or null replaces the other one as a whole."""
    both = {key: _merged(base[key], value) for key, value in values.items() if _are_dicts(base.get(key), value)}
    return {**base, **values, **both}


def _are_dicts(*values: Any) -> bool:
    return all(isinstance(value, dict) for value in values)
