"""Tasks: one file each under ``code``, ``numbers``, ``symbolic`` and ``logic``, found by their file names.

A task is a rule, a sampler of instances, question wordings and an independent reference solution.
"""

from megatron_rfft.tasks.asked import read_tasks, task_names
from megatron_rfft.tasks.held_out import HELD_OUT, NEAR_TWINS
from megatron_rfft.tasks.instances import SPLITS, NoInstanceError
from megatron_rfft.tasks.names import ROLES, current_name
from megatron_rfft.tasks.prompts import FORMS, STYLE_OF_FORM
from megatron_rfft.tasks.random_strings import RANDOM_STRINGS
from megatron_rfft.tasks.random_tasks import RANDOM_LISTS
from megatron_rfft.tasks.registry import (
    list_tasks,
    load_task,
    load_task_file,
    load_task_files,
    own_task_files,
    register,
)
from megatron_rfft.tasks.task import Example, Task

__all__ = [
    "FORMS",
    "HELD_OUT",
    "NEAR_TWINS",
    "RANDOM_LISTS",
    "RANDOM_STRINGS",
    "ROLES",
    "SPLITS",
    "STYLE_OF_FORM",
    "Example",
    "NoInstanceError",
    "Task",
    "current_name",
    "list_tasks",
    "load_task",
    "load_task_file",
    "load_task_files",
    "own_task_files",
    "read_tasks",
    "register",
    "task_names",
]
