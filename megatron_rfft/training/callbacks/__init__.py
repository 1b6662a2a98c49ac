"""What happens around the loop, one concern a file; ``megatron_rfft/train.py`` puts them together."""

from megatron_rfft.training.callbacks.announcement import Announcement
from megatron_rfft.training.callbacks.checkpointing import Checkpointing
from megatron_rfft.training.callbacks.export import Export
from megatron_rfft.training.callbacks.garbage import GarbageCollection
from megatron_rfft.training.callbacks.guard import Guard
from megatron_rfft.training.callbacks.metrics import Metrics
from megatron_rfft.training.callbacks.profiling import Profile
from megatron_rfft.training.callbacks.records import Records
from megatron_rfft.training.callbacks.signals import StopOnSignal
from megatron_rfft.training.callbacks.status import StatusLine
from megatron_rfft.training.callbacks.stragglers import Stragglers
from megatron_rfft.training.callbacks.validation import Validation
from megatron_rfft.training.callbacks.watchdog import Watchdog

__all__ = [
    "Announcement",
    "Checkpointing",
    "Export",
    "GarbageCollection",
    "Guard",
    "Metrics",
    "Profile",
    "Records",
    "StatusLine",
    "StopOnSignal",
    "Stragglers",
    "Validation",
    "Watchdog",
]
