"""A chain's configuration: nested dataclasses, one YAML file, unknown keys refused."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from megatron_rfft.common.cli import parse_lengths
from megatron_rfft.common.errors import UserError
from megatron_rfft.common.yaml_config import build_config, read_yaml
from megatron_rfft.tasks import load_task, split_tasks


@dataclass(frozen=True)
class CorpusSection:
    """What RF-pretraining reads."""

    preset: str = "rf-pretrain"
    """Preset of data_prep/generate.py, or a YAML file of that form."""
    options: list[str] = field(default_factory=list)
    """More options of data_prep/generate.py, such as [--form, lean]."""
    parts: int = 4
    """Tasks of the array that tokenizes it."""
    validation: str | None = "validation"
    """Preset of the validation data; null: the config's own validation section stands."""
    tokenize: list[str] = field(default_factory=list)
    """More options of data_prep/tokenize_corpus.py for every data set, such as [--chat]."""


@dataclass(frozen=True)
class TrainSection:
    """A training stage."""

    config: str | None = None
    """The run's YAML file; null: the stage is left out."""
    nodes: int = 1
    """Nodes of the job."""
    options: list[str] = field(default_factory=list)
    """Keys to change, such as [--run.steps, "100"]. Output, data and starting weights are the chain's."""


@dataclass(frozen=True)
class AdaptSection(TrainSection):
    """Adaptation, a run for each task."""

    tasks: list[str] = field(default_factory=list)
    """Names, or [test] for all that are held out."""
    preset: str = "adapt"
    """Preset of their data."""
    preset_options: list[str] = field(default_factory=list)
    """Options of data_prep/tokenize_corpus.py that change it, such as [--form, lean, --samples, "50"]."""


@dataclass(frozen=True)
class EvaluateSection:
    """What is asked in the end."""

    lengths: str = "2-30:2"
    """Lengths of the questions."""
    samples: int = 100
    """Questions of each task and length."""
    tasks: list[str] = field(default_factory=list)
    """What the pretrained model is asked; none: the tasks that are adapted to (and each adapted model its own)."""
    engine: str = "vllm"
    """vllm or hf."""
    tensor_parallel: int = 1
    """GPUs that vLLM splits a model over."""
    replicas: int = 1
    """Processes that share the questions of a model, on tensor_parallel GPUs of their own each."""
    options: list[str] = field(default_factory=list)
    """More options of tools/evaluate.py."""


@dataclass(frozen=True)
class SlurmSection:
    """Options of sbatch, which come after (and so win over) those of the template."""

    all: list[str] = field(default_factory=list)
    """For every job, such as [--partition=gpu, --account=lab]."""
    stages: dict[str, list[str]] = field(default_factory=dict)
    """For the jobs of a stage: generate, tokenize, data, from-hf, pretrain, adapt, convert, evaluate, report."""
    variables: dict[str, str] = field(default_factory=dict)
    """For every job: PYTHON or CONTAINER, CONTAINER_MOUNTS, PROCESSES_PER_NODE, MAX_RESTARTS, PREFLIGHT, ..."""
    stage_variables: dict[str, dict[str, str]] = field(default_factory=dict)
    """For the jobs of a stage: evaluate wants a CONTAINER or PYTHON of its own where vLLM needs another torch."""


@dataclass(frozen=True)
class ChainConfig:
    """From rules to a report."""

    run: str
    """Folder of everything that the chain makes."""
    model: str | None = None
    """HF folder that training starts from; null: the pretrain config's model from scratch."""
    tokenizer: str | None = None
    """HF folder or SentencePiece .model; null: the model's."""
    corpus: CorpusSection = field(default_factory=CorpusSection)
    pretrain: TrainSection = field(default_factory=TrainSection)
    adapt: AdaptSection = field(default_factory=AdaptSection)
    evaluate: EvaluateSection = field(default_factory=EvaluateSection)
    slurm: SlurmSection = field(default_factory=SlurmSection)

    def __post_init__(self) -> None:
        if self.pretrain.config is None:
            raise UserError("pretrain.config is not set; give the YAML file of the run")
        if self.tokenizer is None and self.model is None:
            raise UserError(
                "neither model nor tokenizer is set; give an HF folder, or a tokenizer to start from scratch"
            )
        for name in (
            "corpus.parts",
            "pretrain.nodes",
            "adapt.nodes",
            "evaluate.samples",
            "evaluate.tensor_parallel",
            "evaluate.replicas",
        ):
            section, key = name.split(".")
            if (value := getattr(getattr(self, section), key)) < 1:
                raise UserError(f"{name} is {value}; it must be at least 1")
        if (self.adapt.config is None) != (not self.adapt.tasks):
            raise UserError("adapt.config and adapt.tasks belong together; set both, or neither")
        parse_lengths(self.evaluate.lengths)
        if not (self.evaluate.tasks or self.adapt.tasks):
            raise UserError("there is nothing to evaluate; set adapt.tasks or evaluate.tasks")
        for stage in (*self.slurm.stages, *self.slurm.stage_variables):
            if stage not in STAGES:
                raise UserError(f"slurm: no stage {stage!r}; stages are {', '.join(STAGES)}")

    @property
    def adapted(self) -> list[str]:
        """Tasks that are adapted to. Raises UserError if there is no such task."""
        names = list(split_tasks(",".join(self.adapt.tasks))) if self.adapt.tasks else []
        if "--task-file" not in self.adapt.preset_options:
            for name in names:
                load_task(name)
        return names


STAGES = ("generate", "tokenize", "data", "from-hf", "pretrain", "adapt", "convert", "evaluate", "report")


def load_chain(path: Path | str) -> ChainConfig:
    """Read a chain's YAML file. Raises UserError naming what is wrong."""
    return build_config(ChainConfig, read_yaml(path, "give the chain's YAML file"), {str: _text})


def _text(value: Any, name: str) -> str:
    """Numbers may stand without quotation marks: all becomes words of commands."""
    if isinstance(value, (str, int, float)) and not isinstance(value, bool):
        return str(value)
    raise UserError(f"{name} is {value!r}; it must be text or a number")
