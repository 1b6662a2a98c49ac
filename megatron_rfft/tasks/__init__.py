"""Tasks: one file each under ``code``, ``numbers``, ``symbolic`` and ``logic``, found by their file names.

A task is a rule, a sampler of instances, question wordings and an independent reference solution.
"""

from megatron_rfft.tasks.instances import SPLITS, NoInstanceError
from megatron_rfft.tasks.prompts import FORMS
from megatron_rfft.tasks.registry import list_tasks, load_task, register
from megatron_rfft.tasks.task import Example, Task

__all__ = ["FORMS", "SPLITS", "Example", "NoInstanceError", "Task", "list_tasks", "load_task", "register"]
