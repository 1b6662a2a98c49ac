"""Which low-rank adapters a model carries; no torch in here, so that a wrong config is answered at once.

Adapters are one per projection, not one per fused matrix: that is what PEFT trains, so that a rank means the same here
and there and an export is exact.
"""

from dataclasses import asdict, dataclass
from typing import Any

from megatron_rfft.common.errors import UserError
from megatron_rfft.models.config import ModelConfig
from megatron_rfft.models.geometry import LINEARS, Linear

METHODS = ("lora", "pissa")


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

    def linears(self, model: ModelConfig) -> list[Linear]:
        """The matrices of each layer of ``model`` that carry adapters."""
        return [model.geometry.linears[name] for name in self.targets]

    def check(self, model: ModelConfig) -> None:
        """Raises UserError if the rank is more than a projection of ``model`` has."""
        projections = [pair for one in self.linears(model) for pair in zip(one.shapes, one.parts, strict=True)]
        size, part = min((min(shape), part) for shape, part in projections)
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
