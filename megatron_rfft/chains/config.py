"""A chain's configuration: nested dataclasses, one YAML file, unknown keys refused."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from megatron_rfft.common.cli import parse_lengths
from megatron_rfft.common.errors import UserError
from megatron_rfft.common.yaml_config import build_config, read_yaml
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
BASE, PRETRAIN = "base", "pretrain"
"""Where an arm may start: the chain's model (or random weights), the RF-pretrained one, or a variant by its name."""


@dataclass(frozen=True)
class CorpusSection:
    """What RF-pretraining reads."""

    preset: str = "rf-pretrain"
    """Preset of rfft generate, or a YAML file of that form."""
    options: list[str] = field(default_factory=list)
    """More options of rfft generate, such as [--form, lean]."""
    parts: int = 4
    """Tasks that share the tokenizing of it."""
    validation: str | None = "validation"
    """Preset of the validation data; null: the config's own validation section stands."""
    tokenize: list[str] = field(default_factory=list)
    """More options of rfft tokenize for every data set, such as [--chat]."""


@dataclass(frozen=True)
class VocabularySection:
    """A tokenizer of the chain's own (rfft train-tokenizer), from the corpus of RF-pretraining.

    Without RF-pretraining it is made from the data of all adaptations."""

    size: int = 1024
    """Pieces in all."""
    max_records: int = 20000
    """Records read from the corpus, from its start."""


@dataclass(frozen=True)
class TrainSection:
    """A training stage."""

    config: str | None = None
    """The run's YAML file; null: the stage is left out."""
    nodes: int = 1
    """Nodes of a Slurm job."""
    options: list[str] = field(default_factory=list)
    """Keys to change, such as [--run.steps, "100"]. Output, data, starting weights and seeds are the chain's."""


@dataclass(frozen=True)
class VariantSection:
    """Another RF-pretraining, for arms of its own. What is not set is as in corpus and pretrain."""

    preset: str | None = None
    """Preset of its corpus."""
    corpus: list[str] = field(default_factory=list)
    """Options of rfft generate that come after (and so win over) corpus.options."""
    config: str | None = None
    """The run's YAML file."""
    options: list[str] = field(default_factory=list)
    """Keys to change after pretrain.options."""


@dataclass(frozen=True)
class PretrainSection(TrainSection):
    """RF-pretraining. Without a config there is none, and all arms start from the model or from scratch."""

    variants: dict[str, VariantSection] = field(default_factory=dict)
    """Others beside it, by name: an arm starts from one by that name (start: NAME)."""


@dataclass(frozen=True)
class AdaptSection(TrainSection):
    """Adaptation: for each arm a run for each task."""

    tasks: list[str] = field(default_factory=list)
    """Names, or [test] for all that are held out."""
    together: bool = False
    """One run on all tasks at once instead of one for each."""
    preset: str = "adapt"
    """Preset of their data."""
    preset_options: list[str] = field(default_factory=list)
    """Options that change it, such as [--form, lean, --samples, "50"]."""
    checkpoints: list[int] = field(default_factory=list)
    """Steps after which the model is measured too, besides the last; 0: the model that the run starts from."""


@dataclass(frozen=True)
class ArmSection:
    """A way to a model that answers. What is not set is as in adapt; the arms that the paper knows have a start and a
    form of their own (see KNOWN_ARMS)."""

    title: str | None = None
    """Its name in the report."""
    about: str | None = None
    """What it is, beside its name in the report's legend."""
    plotted: bool = True
    """false: the report shows it in curves alone."""
    start: str | None = None
    """base (the chain's model, or random weights), pretrain, or a name of pretrain.variants."""
    adapted: bool | None = None
    """false: the model that it starts from is asked as it is."""
    form: str | None = None
    """Form of its data and questions; null: the preset's, and the one that the model was trained in."""
    preset: str | None = None
    """Preset of its data."""
    preset_options: list[str] = field(default_factory=list)
    """Options after adapt.preset_options."""
    config: str | None = None
    """YAML file of its runs."""
    options: list[str] = field(default_factory=list)
    """Keys to change after adapt.options."""
    checkpoints: list[int] | None = None
    """Instead of adapt.checkpoints."""
    seeds: list[int] | None = None
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
class EvaluateSection:
    """What is asked in the end."""

    lengths: str = "2-30:2"
    """Lengths of the questions."""
    samples: int = 100
    """Questions of each task and length."""
    tasks: list[str] = field(default_factory=list)
    """What models are asked that are not adapted; none: the tasks that others are adapted to."""
    engine: str = "vllm"
    """vllm or hf."""
    tensor_parallel: int = 1
    """GPUs that vLLM splits a model over."""
    replicas: int = 1
    """Processes that share the questions of a model, on tensor_parallel GPUs of their own each."""
    options: list[str] = field(default_factory=list)
    """More options of rfft evaluate."""


@dataclass(frozen=True)
class GeneralSection:
    """Conversations that are mixed into training, so that general ability is kept (paper, section 5)."""

    path: str
    """JSONL (plain, .gz, .zst) or Parquet of {"messages": [{"role": ..., "content": ...}, ...]}."""
    weight: float = 1.0
    """How often its documents appear in an epoch (data.train)."""
    stages: list[str] = field(default_factory=lambda: ["pretrain"])
    """What it is mixed into: pretrain, adapt or both."""
    tokenize: list[str] = field(default_factory=list)
    """More options of rfft tokenize, such as [--on-bad, skip]."""


@dataclass(frozen=True)
class EvaluateGeneralSection:
    """Tasks of lm-evaluation-harness, asked of the chain's model and of the trained ones, by evaluate's engine."""

    tasks: list[str] = field(default_factory=list)
    """Names, such as [gsm8k, arc_challenge]; none: nothing is asked."""
    include_path: str | None = None
    """Folder with tasks of one's own."""
    adapted: bool = False
    """Ask the adapted models too, not only those that are evaluated without adaptation (zero-shot)."""
    options: list[str] = field(default_factory=list)
    """More options of rfft evaluate-general, such as [--limit, "200"]."""


@dataclass(frozen=True)
class ReportSection:
    """What the page in the end says of itself."""

    title: str | None = None
    """Heading of the page and the plots; null: that of rfft report."""
    options: list[str] = field(default_factory=list)
    """More options of rfft report."""
    curves: dict[str, dict[str, dict[str, str]]] = field(default_factory=dict)
    """Plots against what was varied: {title: {line: {value: arm}}}. Checkpoints of adaptation have theirs anyway."""


@dataclass(frozen=True)
class SlurmSection:
    """Options of sbatch, which come after (and so win over) those of the template."""

    all: list[str] = field(default_factory=list)
    """For every job, such as [--partition=gpu, --account=lab]."""
    stages: dict[str, list[str]] = field(default_factory=dict)
    """For the jobs of a stage (see STAGES): generate, tokenize, data, pretrain, adapt, convert, evaluate, ..."""
    variables: dict[str, str] = field(default_factory=dict)
    """For every job: PYTHON or CONTAINER, CONTAINER_MOUNTS, PROCESSES_PER_NODE, MAX_RESTARTS, PREFLIGHT, ..."""
    stage_variables: dict[str, dict[str, str]] = field(default_factory=dict)
    """For the jobs of a stage: evaluate wants a CONTAINER or PYTHON of its own where vLLM needs another torch."""


@dataclass(frozen=True)
class LocalSection:
    """How one machine runs the chain (rfft submit --local)."""

    cores: int | None = None
    """Cores that the tasks share; null: all of this process."""
    gpus: int | None = None
    """GPUs that training and evaluation share; null: all that are visible; 0: none."""
    tasks_per_gpu: int = 1
    """Tasks that share a GPU at a time; small models leave room for several."""
    stages: dict[str, int] = field(default_factory=dict)
    """Cores (or, for training, GPUs) of a task of a stage: processes of a training, workers of generating and
    tokenizing, threads of the rest. 1 if not set; where the machine has fewer, all that it has."""
    engine: str | None = None
    """Instead of evaluate.engine."""
    variables: dict[str, str] = field(default_factory=dict)
    """For every task: PYTHON (default: the one that runs this), ..."""
    stage_variables: dict[str, dict[str, str]] = field(default_factory=dict)
    """For the tasks of a stage."""


@dataclass(frozen=True)
class ChainConfig:
    """From rules to a report."""

    run: str
    """Folder of everything that the chain makes."""
    model: str | None = None
    """HF folder that training starts from; null: the training config's model from scratch."""
    tokenizer: str | None = None
    """HF folder or SentencePiece .model; null: the model's, or the one that vocabulary makes."""
    vocabulary: VocabularySection | None = None
    """A tokenizer of the chain's own instead."""
    seeds: list[int] = field(default_factory=list)
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
        self._check_numbers()
        if (self.adapt.config is None) != (not self.adapt.tasks):
            raise UserError("adapt.config and adapt.tasks belong together; set both, or neither")
        parse_lengths(self.evaluate.lengths)
        if not (self.evaluate.tasks or self.adapt.tasks):
            raise UserError("there is nothing to evaluate; set adapt.tasks or evaluate.tasks")
        for section, keys in (("slurm", ("stages", "stage_variables")), ("local", ("stages", "stage_variables"))):
            for stage in (name for key in keys for name in getattr(getattr(self, section), key)):
                if stage not in STAGES:
                    raise UserError(f"{section}: no stage {stage!r}; stages are {', '.join(STAGES)}")
        self._check_names()
        for name, section in self.general.items():
            if not section.stages or not set(section.stages) <= {PRETRAIN, "adapt"}:
                raise UserError(f"general.{name}.stages is {section.stages}; name pretrain, adapt or both")
            if not (math.isfinite(section.weight) and section.weight > 0):
                raise UserError(f"general.{name}.weight is {section.weight}; give a number above 0")

    def _check_numbers(self) -> None:
        names = ["corpus.parts", "pretrain.nodes", "adapt.nodes", "evaluate.samples", "evaluate.tensor_parallel"]
        names += ["evaluate.replicas", "local.tasks_per_gpu"]
        names += ["vocabulary.size", "vocabulary.max_records"] if self.vocabulary else []
        names += ["local.cores"] if self.local.cores is not None else []
        values = {name: getattr(getattr(self, section), key) for name in names for section, key in [name.split(".")]}
        values |= {f"local.stages.{stage}": count for stage, count in self.local.stages.items()}
        for name, value in values.items():
            if value < 1:
                raise UserError(f"{name} is {value}; it must be at least 1")
        if len(set(self.seeds)) < len(self.seeds):
            raise UserError(f"seeds {self.seeds} has one twice; each is a run of its own")

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
            if arm.form is not None and arm.form not in FORMS:
                raise UserError(f"arms.{name}.form is {arm.form!r}; forms are {', '.join(FORMS)}")
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
    return build_config(ChainConfig, values, {str: _text})


def _read(path: Path, readers: tuple[Path, ...] = ()) -> dict[str, Any]:
    """A chain's values; the file that its key ``extends`` names, relative to it, says what it leaves out."""
    values = read_yaml(path, "give the chain's YAML file")
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


def _text(value: Any, name: str) -> str:
    """Numbers may stand without quotation marks: all becomes words of commands."""
    if isinstance(value, (str, int, float)) and not isinstance(value, bool):
        return str(value)
    raise UserError(f"{name} is {value!r}; it must be text or a number")
