"""A run's configuration: nested dataclasses with what each key means, and what may not stand together."""

import dataclasses
import typing
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, TypeVar

from annotated_types import Lt
from pydantic import BeforeValidator

from megatron_rfft.common.errors import UserError
from megatron_rfft.common.number_formats import NUMBER_FORMATS
from megatron_rfft.common.yaml_config import AboveZero, AtLeastZero, ListOf, Natural, Positive, Section
from megatron_rfft.data.blend import DataSource, parse_sources
from megatron_rfft.data.dataset import PackedDataset
from megatron_rfft.models.adapter_config import METHODS, AdapterConfig
from megatron_rfft.models.config import ModelConfig
from megatron_rfft.models.fp8 import CHOICES as FP8_CHOICES

RESUMABLE = "may change when a run is resumed"
"""Stands beside the type of such a key; any other one would silently make another run of it."""
Kind = TypeVar("Kind")
Resumable = Annotated[Kind, RESUMABLE]


def is_resumable(section: type[Section], key: str) -> bool:
    """Whether a key of a section may change when the run is resumed."""
    return RESUMABLE in getattr(typing.get_type_hints(section, include_extras=True)[key], "__metadata__", ())


@dataclass(frozen=True)
class RunSection(Section):
    """What the run is called and where it writes."""

    output: Resumable[str]
    """Folder of the run: resolved config, metrics, checkpoints."""
    seed: Natural = 1234
    """Seeds the initial weights and the data order."""
    steps: Positive = 1000
    """Optimizer steps in all; a resumed run goes on to this number."""


@dataclass(frozen=True)
class ModelSection(Section):
    """The architecture: either an HF folder or the dimensions (same names as in models/config.py)."""

    hf_config: Resumable[str | None] = None  # a checkpoint itself says of which model it is
    """HF folder or config.json to read the architecture from; the fields below are then left out."""
    num_layers: Positive | None = None
    """Transformer layers."""
    hidden_size: Positive | None = None
    """Width of the residual stream."""
    ffn_hidden_size: Positive | None = None
    """Width inside the gated MLP."""
    num_attention_heads: Positive | None = None
    """Query heads."""
    num_query_groups: Positive | None = None
    """Key/value heads."""
    architecture: str | None = None
    """Hugging Face's model_type (qwen2, qwen3, llama: rows of common/families.py)."""
    head_dim: Natural | None = None
    """Dimension of one attention head; left out: hidden_size / num_attention_heads."""
    rope_scaling_factor: float | None = None
    """Llama 3.1's stretching of the rotary frequencies (8.0 there); 1.0: none."""
    vocab_size: Natural | None = None
    """Rows of the embedding; left out: as many as the tokenizer has ids."""
    max_position_embeddings: Positive | None = None
    """Longest sequence that the exported model claims, in tokens."""
    rope_theta: float | None = None
    """Base of the rotary frequencies."""
    norm_epsilon: float | None = None
    """RMSNorm's epsilon."""
    tie_embeddings: bool | None = None
    """Input and output embeddings are one matrix."""
    init_std: float | None = None
    """Standard deviation of initial matrices."""

    def resolve(self, tokenizer_size: int, ids_in_use: int | None = None) -> ModelConfig:
        """The architecture; where it names no vocabulary, with ``tokenizer_size`` embedding rows.

        Raises UserError if it is incomplete, or has fewer rows than ``ids_in_use`` (None: all of the tokenizer's).
        """
        given = {f.name: getattr(self, f.name) for f in dataclasses.fields(self) if getattr(self, f.name) is not None}
        source = given.pop("hf_config", None)
        if source is not None:
            if given:
                raise UserError(f"model.hf_config is set beside {sorted(given)}; give the one or the others")
            model = ModelConfig.from_hf(source)
        else:
            required = [f.name for f in dataclasses.fields(ModelConfig) if f.default is dataclasses.MISSING]
            if missing := [name for name in required if name not in given]:
                raise UserError(f"the model section lacks {missing}; set them, or model.hf_config")
            model = ModelConfig(**given)
        if not model.vocab_size:
            model = dataclasses.replace(model, vocab_size=tokenizer_size)
        if model.vocab_size < (needed := tokenizer_size if ids_in_use is None else ids_in_use):
            raise UserError(
                f"model.vocab_size {model.vocab_size} is below the {needed} ids that the data needs; raise it, or "
                "tokenize with the model's own tokenizer"
            )
        return model


@dataclass(frozen=True)
class ParallelSection(Section):
    """How the model is laid out over processes; data parallel size is what remains of the world size."""

    tensor: Resumable[Positive] = 1
    """Tensor-parallel size: each matrix is split over this many ranks."""
    pipeline: Resumable[Positive] = 1
    """Pipeline-parallel size: layers are split into this many stages."""
    sequence: Resumable[bool] = False
    """Sequence parallelism: norms and residuals are split along the sequence over the tensor-parallel ranks."""
    virtual_pipeline: Resumable[Positive] = 1
    """Model chunks of each pipeline stage; more than one interleaves them, which shortens the pipeline's bubble."""
    context: Resumable[Positive] = 1
    """Context-parallel size: each document is split along its tokens over this many ranks. Without Transformer Engine,
    attention heads are split over them too, and must be a multiple of tensor x context."""
    overlap: Resumable[bool] = True
    """Reduce gradients and gather parameters over the data-parallel ranks while computing."""
    tensor_overlap: Resumable[bool] = False
    """Run tensor-parallel traffic under the matrix products, by Transformer Engine's user buffers. Needs
    parallel.sequence and micro-batches of one size. It has not been run yet."""


@dataclass(frozen=True)
class MemorySection(Section):
    """What is computed twice instead of kept."""

    recompute: Resumable[Literal["none", "selective", "full"]] = "none"
    """Activations recomputed in the backward pass: none, selective (the MLP of each layer: about three quarters of
    its activations for a fifth more compute) or full (whole layers: only each layer's input is kept)."""
    recompute_layers: Resumable[Positive | None] = None
    """How many layers of each model chunk (parallel.virtual_pipeline) do so, the first ones; null: all."""
    fp8_activation_input: bool = False
    """Keep what the MLP's activation reads in E4M3 for the backward pass: half of its bytes. It is cast without a
    scale, so values above 448 become no numbers. Needs Transformer Engine's layers."""
    te_cross_entropy: bool = False
    """Transformer Engine's cross entropy, which keeps no fp32 copy of the logits. megatron-core warns that it has known
    stability issues: compare a run with one without it."""


@dataclass(frozen=True)
class DataSection(Section):
    """What the model reads."""

    train: Annotated[list[DataSource], BeforeValidator(parse_sources)] = field(default_factory=list)
    """Prefixes of the training data sets (rfft tokenize --output): one, a list, or {prefix: weight},
    where weight is how often a data set's documents appear in an epoch (0.5: another half each epoch; 2: twice)."""
    sequence_length: Positive = 512
    """Tokens per sequence as the model sees it; no document may be longer."""
    packed: bool = True
    """Pack documents into sequences (isolated from each other), which the batch sizes count. false: they count
    documents, which are laid end to end in micro-batches of at most batch.micro_batch_size x data.sequence_length
    tokens, padded to the longest of them."""
    document_multiple: Positive = 1
    """Pad each document to a multiple of this many tokens. Context parallelism needs a multiple of 2 x
    parallel.context; as it decides which documents share a sequence, it stays as it is when a run changes layout."""
    curriculum: Annotated[AtLeastZero, Lt(1)] = 0.0
    """Share of the first pass over the data after which the longest problems of each task enter; 0: shuffled."""
    cache: Resumable[str | None] = None
    """Folder where packings of epochs are kept for later starts; null: they are computed (a million documents take
    about a second). It changes no sequence, can be shared between runs, and deleted at any time."""

    def open(self, seed: int) -> PackedDataset:
        """The stream of sequences that this section describes. Raises UserError where the data does not allow it."""
        return PackedDataset(
            self.train,
            self.sequence_length,
            seed,
            self.packed,
            self.curriculum,
            self.cache,
            document_multiple=self.document_multiple,
        )


@dataclass(frozen=True)
class BatchSection(Section):
    """Batch sizes, counted in sequences as the model sees them (in documents, if data.packed is false)."""

    global_batch_size: Positive = 32
    """Sequences (or documents) per optimizer step, over all ranks."""
    micro_batch_size: Resumable[Positive] = 1
    """Sequences per forward pass of one rank; of documents, as many as have room in the tokens of so many."""


@dataclass(frozen=True)
class OptimizerSection(Section):
    """AdamW and its schedule."""

    lr: AtLeastZero = 1e-5
    """Peak learning rate."""
    min_lr: AtLeastZero = 0.0
    """Learning rate at the last step."""
    warmup_steps: Natural = 0
    """Steps of linear warm-up from zero."""
    schedule: Literal["cosine", "linear", "constant"] = "cosine"
    """Decay after the warm-up: cosine, linear or constant."""
    weight_decay: float = 0.1
    """Decoupled weight decay of matrices."""
    beta1: float = 0.9
    """Adam's first-moment decay."""
    beta2: float = 0.95
    """Adam's second-moment decay."""
    epsilon: float = 1e-8
    """Adam's epsilon."""
    clip_grad: float = 1.0
    """Largest global gradient norm."""
    distributed: bool = True
    """Split optimizer states over the data-parallel ranks."""
    gradients: Literal[*NUMBER_FORMATS] = "fp32"
    """Format in which gradients are added up over micro-batches and over ranks: fp32, or bf16, which takes half of the
    memory and of the traffic, and rounds each of these sums."""


@dataclass(frozen=True)
class AdapterSection(Section):
    """Low-rank adapters on the weights of checkpoint.load, which are frozen and not saved again."""

    method: Literal["none", *METHODS] = "none"
    """none: all parameters are trained; lora: the updates start at zero; pissa: they start as the principal part of
    each weight, which keeps the rest."""
    rank: Positive = 32
    """Rank of the update of each projection (Q, K, V, gate and up have their own)."""
    alpha: AboveZero | None = None
    """Updates are scaled by alpha / rank; null: 2 * rank for lora, rank for pissa."""
    targets: ListOf[str] = field(default_factory=lambda: ["linear_qkv", "linear_proj", "linear_fc1", "linear_fc2"])
    """Layers with adapters: linear_qkv, linear_proj (attention), linear_fc1, linear_fc2 (MLP). optimizer.weight_decay
    acts on the adapters: for pissa it would decay the principal part of the model, so set it to 0."""
    svd_iterations: Natural | None = 16
    """Rounds of the randomized SVD of pissa (PEFT's pissa_niter_16); null: the full SVD, much slower."""

    def resolve(self, model: ModelConfig) -> AdapterConfig | None:
        """The adapters of ``model``, None for method none. Raises UserError if they don't fit it."""
        if self.method == "none":
            return None
        alpha = self.alpha if self.alpha is not None else self.rank * (2.0 if self.method == "lora" else 1.0)
        iterations = self.svd_iterations if self.method == "pissa" else None
        adapter = AdapterConfig(self.method, self.rank, alpha, tuple(self.targets), iterations)
        adapter.check(model)
        return adapter


@dataclass(frozen=True)
class PrecisionSection(Section):
    """Number formats."""

    dtype: Literal[*NUMBER_FORMATS] = "bf16"
    """Parameters and activations: bf16 or fp32 (optimizer states are always fp32)."""
    fp8: Literal[*FP8_CHOICES] = "none"
    """Recipe by which Transformer Engine runs the four linears of each layer in FP8: none, tensorwise (scales from the
    tensor at hand) or blockwise (1x128 and 128x128 blocks, E4M3; the most careful, the slowest). Delayed scaling is
    not offered: its state is a pickle, which Transformer Engine itself refuses to load, so no run could be resumed.
    Nor are FP8 parameters (megatron-core's fp8_param): the optimizer would take its fp32 weights from rounded ones."""
    fp8_first_last_bf16: bool = True
    """Keep the first and the last layer in bf16."""
    deterministic: Resumable[bool] = False
    """Compute in a fixed order on GPUs too: the same start gives the same bits, and a resumed run equals a whole one.
    It costs time, most in attention's backward pass. CPUs do so anyway."""
    local_layers: Resumable[bool] = False
    """On a GPU, take megatron-core's own layers instead of Transformer Engine's: slower, with more memory, without FP8.
    Otherwise a GPU without a working Transformer Engine is an error. CPUs always take them."""


@dataclass(frozen=True)
class ValidationSection(Section):
    """The loss on documents that are not trained on, the best checkpoint, and when to stop early."""

    data: ListOf[str] = field(default_factory=list)
    """Prefixes of the validation data sets; none: no validation."""
    interval: Positive = 100
    """Steps between validations; the last step is always validated."""
    samples: Positive | None = None
    """Sequences to take of them, the same each time; null: all."""
    sequence_length: Positive | None = None
    """Tokens per sequence, for documents longer than those of training; null: data.sequence_length."""
    patience: Resumable[Natural] = 0
    """Stop when so many validations in a row were no better than the best before; 0: never."""
    min_delta: AtLeastZero = 0.0
    """By how much a validation loss has to be below the best one to be better."""


@dataclass(frozen=True)
class GuardSection(Section):
    """What is done about steps that go wrong: bad batches and hanging processes."""

    max_skips: Resumable[Positive] = 3
    """A step whose loss or gradient is not a number is skipped; the run ends at so many skipped in a row."""
    spike_factor: AtLeastZero = 0.0
    """Also skip a step whose loss is above this many times the mean of the last ones, or whose gradient norm is above
    this many times their median; 0: never. Off by default: a curriculum raises the loss on purpose."""
    spike_window: Positive = 64
    """How many updates that mean and that median are taken over; before so many are made, none is a spike."""
    hang_timeout: Resumable[AtLeastZero] = 1800.0
    """Seconds after which a step that does not end (with its validation), or a checkpoint that is waited for and does
    not get on, is taken for hung: every rank writes its stacks, and the processes end with exit code 76; 0: wait for
    ever."""


@dataclass(frozen=True)
class CheckpointSection(Section):
    """When to save, and what to start from."""

    interval: Resumable[Positive] = 100
    """Steps between checkpoints; the last step is always saved."""
    minutes: Resumable[AtLeastZero] = 0.0
    """Save also when the last checkpoint was begun so many minutes ago; 0: by steps alone."""
    keep: Resumable[Positive] = 2
    """Newest checkpoints kept, beside the best one and those of checkpoint.at."""
    at: Resumable[ListOf[Positive]] = field(default_factory=list)
    """Steps that are saved too, and kept: to measure a model on its way."""
    load: str | None = None
    """Checkpoint folder whose weights a new run starts from (a run that has its own checkpoints resumes from those);
    RUN/checkpoints/best is the one with the lowest validation loss."""
    asynchronous: Resumable[bool] = True
    """Write checkpoints while training goes on; false: wait for each. Either way each rank copies its share to host
    memory, which it keeps."""
    export_hf: Resumable[bool] = False
    """Export checkpoints as Hugging Face folders, RUN/hf/step-XXXXXXXX, while training goes on: the newest one whenever
    the one before is done, and the last."""


@dataclass(frozen=True)
class LoggingSection(Section):
    """What is written where."""

    interval: Resumable[Positive] = 10
    """Steps between lines of metrics.jsonl, TensorBoard points and status lines."""
    tensorboard: Resumable[bool] = True
    """Write TensorBoard events into the run folder."""
    wandb: Resumable[str | None] = None
    """Weights & Biases project to log to (package wandb, which obeys WANDB_MODE=offline); null: none."""
    peak_tflops: Resumable[AboveZero | None] = None
    """Dense peak of one GPU in TFLOP/s that MFU is a share of; null: its bf16 peak where the GPU is a known one."""
    profile: Resumable[ListOf[Natural] | None] = None
    """[start, stop]: write a torch profiler trace of the steps after start up to stop, of rank 0; null: none."""


@dataclass(frozen=True)
class TrainConfig(Section):
    """A whole run."""

    run: RunSection
    model: ModelSection = field(default_factory=ModelSection)
    data: DataSection = field(default_factory=DataSection)
    parallel: ParallelSection = field(default_factory=ParallelSection)
    memory: MemorySection = field(default_factory=MemorySection)
    batch: BatchSection = field(default_factory=BatchSection)
    optimizer: OptimizerSection = field(default_factory=OptimizerSection)
    adapter: AdapterSection = field(default_factory=AdapterSection)
    precision: PrecisionSection = field(default_factory=PrecisionSection)
    validation: ValidationSection = field(default_factory=ValidationSection)
    guard: GuardSection = field(default_factory=GuardSection)
    checkpoint: CheckpointSection = field(default_factory=CheckpointSection)
    logging: LoggingSection = field(default_factory=LoggingSection)

    def __post_init__(self) -> None:
        if self.memory.recompute_layers is not None and self.memory.recompute == "none":
            layers = self.memory.recompute_layers
            raise UserError(f"memory.recompute_layers is {layers}, but memory.recompute is none; set one of them")
        if 0 < self.guard.spike_factor <= 1:
            raise UserError(f"guard.spike_factor is {self.guard.spike_factor}; it must be above 1, or 0 for none")
        _check_window(self.logging.profile)
        if wrong := [step for step in self.checkpoint.at if not 1 <= step <= self.run.steps]:
            raise UserError(f"checkpoint.at has {wrong[0]}; steps go from 1 to run.steps, {self.run.steps}")
        if self.adapter.method != "none" and self.checkpoint.load is None:
            raise UserError(
                f"adapter.method {self.adapter.method} needs checkpoint.load: adapters are trained on given weights"
            )
        if self.optimizer.warmup_steps >= self.run.steps:
            raise UserError(
                f"optimizer.warmup_steps {self.optimizer.warmup_steps} leaves nothing of run.steps {self.run.steps}; "
                "lower it"
            )

    def as_dict(self) -> dict[str, Any]:
        """Nested plain values, as written to ``config.yaml`` of the run."""
        values = dataclasses.asdict(self)
        values["data"]["train"] = [source.plain() for source in self.data.train]
        return values


def _check_window(window: list[int] | None) -> None:
    if window is not None and not (len(window) == 2 and 0 <= window[0] < window[1]):
        raise UserError(f"logging.profile is {window}; write [start, stop], for example [10, 12]")
