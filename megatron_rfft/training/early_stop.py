"""Which validation loss was best, and whether to go on: numbers that a checkpoint keeps."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

VALIDATION = "Validation"
"""The key under which a checkpoint keeps the state of the callback."""


@dataclass
class EarlyStop:
    """The history of validation losses, as far as it decides anything."""

    best_loss: float | None = None
    best_step: int | None = None
    waited: int = 0
    """Validations since the best one."""

    def update(self, step: int, loss: float, min_delta: float) -> bool:
        """Take in a validation loss; whether it is the best so far. One that is not a number never is."""
        better = loss == loss and (self.best_loss is None or loss < self.best_loss - min_delta)
        if better:
            self.best_loss, self.best_step, self.waited = loss, step, 0
        else:
            self.waited += 1
        return better

    def reason_to_stop(self, patience: int) -> str:
        """Why the run is over, or an empty string."""
        if not patience or self.waited < patience:
            return ""
        best = "none was a number"
        if self.best_loss is not None:
            best = f"best {self.best_loss:.6g} at step {self.best_step}"
        return f"early stop: {self.waited} validations without a better loss ({best})"

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def best_step(states: Mapping[str, Any]) -> int | None:
    """The best step, from the states that a checkpoint keeps of the callbacks; None before any validation."""
    return states.get(VALIDATION, {}).get("best_step")


def early_stop_reason(states: Mapping[str, Any], patience: int) -> str:
    """Why a run whose newest checkpoint keeps ``states`` is over, or an empty string."""
    return EarlyStop(**states.get(VALIDATION, {})).reason_to_stop(patience)
