"""Which low-rank adapters a model carries; no torch in here, so that a wrong config is answered at once."""

from dataclasses import asdict, dataclass
from typing import Any

from megatron_rfft.common.errors import UserError
from megatron_rfft.models.config import ModelConfig

METHODS = ("lora", "pissa")


@dataclass(frozen=True)
class Linear:
    """One of megatron-core's parallel linear layers and the projections that it fuses, as Hugging Face has them.

    Adapters are one per projection, not one per fused matrix: that is what PEFT trains, so that a rank means the same
    here and there and an export is exact.
    """

    module: str
    """Its place in a transformer layer."""
    parts: tuple[str, ...]
    """The projections, in the order of the fused matrix."""
    row_parallel: bool
    """Split over the tensor-parallel ranks along its inputs; otherwise along its outputs."""

    @property
    def name(self) -> str:
        """Its name without the layer number in megatron-core's sharded checkpoints."""
        return f"decoder.layers.{self.module}"

    def groups(self, model: ModelConfig) -> int:
        """Blocks of rows among which the projections alternate: ``[q..q k v] x key/value heads``, else one."""
        return model.num_query_groups if len(self.parts) == 3 else 1

    def shapes(self, model: ModelConfig) -> list[tuple[int, int]]:
        """(outputs, inputs) of each projection, unsplit."""
        queries, keys = model.num_attention_heads * model.head_dim, model.num_query_groups * model.head_dim
        outputs = {"q": queries, "k": keys, "v": keys, "o": model.hidden_size, "down": model.hidden_size}
        inputs = {"o": queries, "down": model.ffn_hidden_size}
        return [(outputs.get(p, model.ffn_hidden_size), inputs.get(p, model.hidden_size)) for p in self.parts]


LINEARS = {
    "linear_qkv": Linear("self_attention.linear_qkv", ("q", "k", "v"), row_parallel=False),
    "linear_proj": Linear("self_attention.linear_proj", ("o",), row_parallel=True),
    "linear_fc1": Linear("mlp.linear_fc1", ("gate", "up"), row_parallel=False),
    "linear_fc2": Linear("mlp.linear_fc2", ("down",), row_parallel=True),
}


@dataclass(frozen=True)
class AdapterConfig:
    """``W x`` becomes ``W x + alpha / rank * B A x`` in each projection of the targets; only A and B are trained."""

    method: str
    """``lora``: A random, B zero. ``pissa``: B A is the principal part of W, and W keeps the rest."""
    rank: int
    """Rows of A and columns of B."""
    alpha: float
    """Times the rank's inverse, the scale of the update."""
    targets: tuple[str, ...]
    """Names in LINEARS, in that order."""
    svd_iterations: int | None = None
    """PiSSA: rounds of the randomized SVD; None: the full one."""

    def __post_init__(self) -> None:
        if unknown := [name for name in self.targets if name not in LINEARS]:
            raise UserError(f"adapter.targets has {unknown[0]!r}; it may have {', '.join(LINEARS)}")
        if not self.targets:
            raise UserError(f"adapter.targets is empty; name some of {', '.join(LINEARS)}")
        ordered = tuple(name for name in LINEARS if name in self.targets)
        object.__setattr__(self, "targets", ordered)

    @property
    def scale(self) -> float:
        """Factor of ``B A``."""
        return self.alpha / self.rank

    @property
    def linears(self) -> list[Linear]:
        """The layers that carry adapters."""
        return [LINEARS[name] for name in self.targets]

    def check(self, model: ModelConfig) -> None:
        """Raises UserError if the rank is more than a projection of ``model`` has."""
        sizes = [(min(shape), part) for linear in self.linears for shape, part in _named_shapes(linear, model)]
        size, part = min(sizes)
        if self.rank > size:
            raise UserError(f"adapter.rank is {self.rank}, but {part}_proj has only rank {size}; lower it")

    def as_dict(self) -> dict[str, Any]:
        """Plain values, as a checkpoint's manifest has them."""
        return {**asdict(self), "targets": list(self.targets)}

    @classmethod
    def from_manifest(cls, section: dict[str, Any]) -> "AdapterConfig":
        """What :meth:`as_dict` gave; other keys are left aside."""
        values = {name: section[name] for name in cls.__dataclass_fields__}
        return cls(**{**values, "targets": tuple(values["targets"])})


def _named_shapes(linear: Linear, model: ModelConfig) -> list[tuple[tuple[int, int], str]]:
    return list(zip(linear.shapes(model), linear.parts, strict=True))
