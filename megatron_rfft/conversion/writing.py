"""How converted weights are written; no torch in here, so that a wrong option is answered at once."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Writing:
    """What every conversion takes besides its input and output."""

    dtype: str = "keep"
    """keep, bf16 or fp32."""
    workers: int | None = None
    """Threads, each with a few MiB in memory; None: as many as pay."""
    max_shard_gb: float = 2.0
    """The largest file of weights, in 10^9 bytes; one tensor may be larger."""


AS_THEY_ARE = Writing()
