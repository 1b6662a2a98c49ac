"""A run's configuration: nested dataclasses with what each key means, and what may not stand together."""

import dataclasses
from dataclasses import dataclass, field
from typing import Any

from megatron_rfft.common.errors import UserError
from megatron_rfft.common.number_formats import NUMBER_FORMATS
from megatron_rfft.data.blend import DataSource
from megatron_rfft.data.dataset import PackedDataset
from megatron_rfft.models.adapter_config import METHODS, AdapterConfig
from megatron_rfft.models.config import ModelConfig
from megatron_rfft.models.fp8 import CHOICES as FP8_CHOICES


@dataclass(frozen=True)
class RunSection:
    """What the run is called and where it writes."""

    output: str
    """Folder of the run: resolved config, metrics, checkpoints."""
    seed: int = 1234
    """Seeds the initial weights and the data order."""
    steps: int = 1000
    """Optimizer steps in all; a resumed run goes on to this number."""


@dataclass(frozen=True)
class ModelSection:
    """The architecture: either an HF folder or the dimensions (same names as in models/config.py)."""

    hf_config: str | None = None
    """HF folder or config.json to read the architecture from; the fields below are then left out."""
    num_layers: int | None = None
    """Transformer layers."""
    hidden_size: int | None = None
    """Width of the residual stream."""
    ffn_hidden_size: int | None = None
    """Width inside the gated MLP."""
    num_attention_heads: int | None = None
    """Query heads."""
    num_query_groups: int | None = None
    """Key/value heads."""
    architecture: str | None = None
    """Hugging Face's model_type (qwen2, qwen3, llama: rows of common/families.py)."""
    head_dim: int | None = None
    """Dimension of one attention head; left out: hidden_size / num_attention_heads."""
    rope_scaling_factor: float | None = None
    """Llama 3.1's stretching of the rotary frequencies (8.0 there); 1.0: none."""
    vocab_size: int | None = None
    """Rows of the embedding; left out: as many as the tokenizer has ids."""
    max_position_embeddings: int | None = None
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
class ParallelSection:
    """How the model is laid out over processes; data parallel size is what remains of the world size."""

    tensor: int = 1
    """Tensor-parallel size: each matrix is split over this many ranks."""
    pipeline: int = 1
    """Pipeline-parallel size: layers are split into this many stages."""
    sequence: bool = False
    """Sequence parallelism: norms and residuals are split along the sequence over the tensor-parallel ranks."""
    virtual_pipeline: int = 1
    """Model chunks of each pipeline stage; more than one interleaves them, which shortens the pipeline's bubble."""
    context: int = 1
    """Context-parallel size: each document is split along its tokens over this many ranks (long sequences)."""
    overlap: bool = True
    """Reduce gradients and gather parameters over the data-parallel ranks while computing."""


@dataclass(frozen=True)
class MemorySection:
    """What is computed twice instead of kept."""

    recompute: str = "none"
    """Activations recomputed in the backward pass: none, selective (the MLP of each layer: about three quarters of
    its activations for a fifth more compute) or full (whole layers: only each layer's input is kept)."""


@dataclass(frozen=True)
class DataSection:
    """What the model reads."""

    train: list[DataSource] = field(default_factory=list)
    """Prefixes of the training data sets (rfft tokenize --output): one, a list, or {prefix: weight},
    where weight is how often a data set's documents appear in an epoch (0.5: another half each epoch; 2: twice)."""
    sequence_length: int = 512
    """Tokens per sequence as the model sees it."""
    packed: bool = True
    """Pack documents into sequences (isolated from each other); false: one padded document a sequence."""
    document_multiple: int = 1
    """Pad each document to a multiple of this many tokens. Context parallelism needs a multiple of 2 x
    parallel.context; as it decides which documents share a sequence, it stays as it is when a run changes layout."""
    curriculum: float = 0.0
    """Share of the first pass over the data after which the longest problems of each task enter; 0: shuffled."""
    cache: str | None = None
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
class BatchSection:
    """Batch sizes, counted in sequences as the model sees them."""

    global_batch_size: int = 32
    """Sequences per optimizer step, over all ranks."""
    micro_batch_size: int = 1
    """Sequences per forward pass of one rank."""


@dataclass(frozen=True)
class OptimizerSection:
    """AdamW and its schedule."""

    lr: float = 1e-5
    """Peak learning rate."""
    min_lr: float = 0.0
    """Learning rate at the last step."""
    warmup_steps: int = 0
    """Steps of linear warm-up from zero."""
    schedule: str = "cosine"
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


@dataclass(frozen=True)
class AdapterSection:
    """Low-rank adapters on the weights of checkpoint.load, which are frozen and not saved again."""

    method: str = "none"
    """none: all parameters are trained; lora: the updates start at zero; pissa: they start as the principal part of
    each weight, which keeps the rest."""
    rank: int = 32
    """Rank of the update of each projection (Q, K, V, gate and up have their own)."""
    alpha: float | None = None
    """Updates are scaled by alpha / rank; null: 2 * rank for lora, rank for pissa."""
    targets: list[str] = field(default_factory=lambda: ["linear_qkv", "linear_proj", "linear_fc1", "linear_fc2"])
    """Layers with adapters: linear_qkv, linear_proj (attention), linear_fc1, linear_fc2 (MLP). optimizer.weight_decay
    acts on the adapters: for pissa it would decay the principal part of the model, so set it to 0."""
    svd_iterations: int | None = 16
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
class PrecisionSection:
    """Number formats."""

    dtype: str = "bf16"
    """Parameters and activations: bf16 or fp32 (gradients and optimizer states are always fp32)."""
    fp8: str = "none"
    """Recipe by which Transformer Engine runs the four linears of each layer in FP8: none, tensorwise (scales from the
    tensor at hand) or blockwise (1x128 and 128x128 blocks, E4M3; the most careful, the slowest). Delayed scaling is
    not offered: its state is a pickle, which Transformer Engine itself refuses to load, so no run could be resumed."""
    fp8_first_last_bf16: bool = True
    """Keep the first and the last layer in bf16."""


@dataclass(frozen=True)
class ValidationSection:
    """The loss on documents that are not trained on, the best checkpoint, and when to stop early."""

    data: list[str] = field(default_factory=list)
    """Prefixes of the validation data sets; none: no validation."""
    interval: int = 100
    """Steps between validations; the last step is always validated."""
    samples: int | None = None
    """Sequences to take of them, the same each time; null: all."""
    sequence_length: int | None = None
    """Tokens per sequence, for documents longer than those of training; null: data.sequence_length."""
    patience: int = 0
    """Stop when so many validations in a row were no better than the best before; 0: never."""
    min_delta: float = 0.0
    """By how much a validation loss has to be below the best one to be better."""


@dataclass(frozen=True)
class GuardSection:
    """What is done about steps that go wrong: bad batches and hanging processes."""

    max_skips: int = 3
    """A step whose loss or gradient is not a number is skipped; the run ends at so many skipped in a row."""
    spike_factor: float = 0.0
    """Also skip a step whose loss is above this many times the mean of the last ones, or whose gradient norm is above
    this many times their median; 0: never. Off by default: a curriculum raises the loss on purpose."""
    spike_window: int = 64
    """How many updates that mean and that median are taken over; before so many are made, none is a spike."""
    hang_timeout: float = 1800.0
    """Seconds after which a step that does not end (with its validation and checkpoint) is taken for hung: every rank
    writes its stacks, and the processes end with exit code 76; 0: wait for ever."""


@dataclass(frozen=True)
class CheckpointSection:
    """When to save, and what to start from."""

    interval: int = 100
    """Steps between checkpoints; the last step is always saved."""
    keep: int = 2
    """Newest checkpoints kept, beside the best one and those of checkpoint.at."""
    at: list[int] = field(default_factory=list)
    """Steps that are saved too, and kept: to measure a model on its way."""
    load: str | None = None
    """Checkpoint folder whose weights a new run starts from (a run that has its own checkpoints resumes from those);
    RUN/checkpoints/best is the one with the lowest validation loss."""
    asynchronous: bool = True
    """Write checkpoints while training goes on, from a copy in host memory; false: wait for each."""
    export_hf: bool = False
    """Export checkpoints as Hugging Face folders, RUN/hf/step-XXXXXXXX, while training goes on: the newest one whenever
    the one before is done, and the last."""


@dataclass(frozen=True)
class LoggingSection:
    """What is written where."""

    interval: int = 10
    """Steps between lines of metrics.jsonl, TensorBoard points and status lines."""
    tensorboard: bool = True
    """Write TensorBoard events into the run folder."""
    wandb: str | None = None
    """Weights & Biases project to log to (package wandb, which obeys WANDB_MODE=offline); null: none."""
    peak_tflops: float | None = None
    """Dense peak of one GPU in TFLOP/s that MFU is a share of; null: its bf16 peak where the GPU is a known one."""
    profile: list[int] | None = None
    """[start, stop]: write a torch profiler trace of the steps after start up to stop, of rank 0; null: none."""


@dataclass(frozen=True)
class TrainConfig:
    """A whole run."""

    run: RunSection
    model: ModelSection
    data: DataSection
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
        _one_of("precision.dtype", self.precision.dtype, tuple(NUMBER_FORMATS))
        _one_of("precision.fp8", self.precision.fp8, FP8_CHOICES)
        _one_of("memory.recompute", self.memory.recompute, ("none", "selective", "full"))
        _one_of("adapter.method", self.adapter.method, ("none", *METHODS))
        _one_of("optimizer.schedule", self.optimizer.schedule, ("cosine", "linear", "constant"))
        for name in (
            "run.steps",
            "parallel.tensor",
            "parallel.pipeline",
            "parallel.virtual_pipeline",
            "parallel.context",
            "data.sequence_length",
            "data.document_multiple",
            "batch.global_batch_size",
            "batch.micro_batch_size",
            "adapter.rank",
            "validation.interval",
            "guard.max_skips",
            "guard.spike_window",
            "checkpoint.interval",
            "checkpoint.keep",
            "logging.interval",
        ):
            section, key = name.split(".")
            if (value := getattr(getattr(self, section), key)) < 1:
                raise UserError(f"{name} is {value}; it must be at least 1")
        for name in ("validation.patience", "validation.min_delta", "guard.spike_factor", "guard.hang_timeout"):
            section, key = name.split(".")
            if (value := getattr(getattr(self, section), key)) < 0:
                raise UserError(f"{name} is {value}; it must be at least 0")
        if 0 < self.guard.spike_factor <= 1:
            raise UserError(f"guard.spike_factor is {self.guard.spike_factor}; it must be above 1, or 0 for none")
        _check_window(self.logging.profile)
        if wrong := [step for step in self.checkpoint.at if not 1 <= step <= self.run.steps]:
            raise UserError(f"checkpoint.at has {wrong[0]}; steps go from 1 to run.steps, {self.run.steps}")
        if not 0 <= self.data.curriculum < 1:
            raise UserError(f"data.curriculum is {self.data.curriculum}; it must be at least 0 and below 1")
        if self.adapter.method != "none" and self.checkpoint.load is None:
            raise UserError(
                f"adapter.method {self.adapter.method} needs checkpoint.load: adapters are trained on given weights"
            )
        if self.adapter.alpha is not None and self.adapter.alpha <= 0:
            raise UserError(f"adapter.alpha is {self.adapter.alpha}; it must be above 0")
        if self.adapter.svd_iterations is not None and self.adapter.svd_iterations < 0:
            raise UserError(f"adapter.svd_iterations is {self.adapter.svd_iterations}; it must be at least 0, or null")
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


def _one_of(name: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise UserError(f"{name} is {value!r}; it must be one of {', '.join(allowed)}")
