"""The tasks by name. A task's file is found by its name and registers itself on its last line."""

import difflib
import inspect
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from megatron_rfft.common.errors import UserError
from megatron_rfft.rules import Rule
from megatron_rfft.tasks.task import Sampler, Task

FAMILIES = ("code", "numbers", "symbolic", "logic")
TASK_SPLITS = ("train", "test", "extra")

_tasks: dict[str, Task] = {}


def register(
    rule: Callable[..., Any],
    *,
    source: str,
    split: str,
    valid_lengths: Sequence[int],
    instance: Sampler,
    questions: Sequence[str],
    reference: Callable[..., Any],
    version: int = 1,
) -> Task:
    """Make the task whose rule is the plain function ``rule``; its name and folder give the task's name and family.

    ``source`` is its catalogue id (``lc_283``); ``split`` is ``train`` or ``test`` as in the paper, or ``extra``.
    ``instance(rng, length)`` draws the rule's arguments, JSON values. ``questions`` are wordings with the rule's
    parameters in braces; ``reference`` solves an instance without the rule's code. Raise ``version`` with every change
    that changes examples.
    """
    path = Path(rule.__code__.co_filename)
    if path.stem != rule.__name__:
        raise UserError(f"{path}: the rule is called {rule.__name__}; name the file {rule.__name__}.py, like its rule")
    if split not in TASK_SPLITS:
        raise UserError(f"{path}: split {split!r} is unknown; choose one of {', '.join(TASK_SPLITS)}")
    task = Task(
        name=rule.__name__,
        source=source,
        family=path.parent.name,
        split=split,
        version=version,
        valid_lengths=valid_lengths,
        rule=Rule(inspect.getsource(rule)),
        instance=instance,
        questions=tuple(questions),
        reference=reference,
        file=str(path),
    )
    _tasks[task.name] = task
    return task


def load_task(name: str) -> Task:
    """The task called ``name``. Raises UserError with similar names if there is none."""
    if name not in _tasks:
        files = _task_files()
        if name not in files:
            close = difflib.get_close_matches(name, files, n=3) or sorted(files)
            raise UserError(f"no task is called {name!r}; did you mean {', '.join(close)}?")
        import_module(f"{__package__}.{files[name].parent.name}.{name}")
    if name not in _tasks:
        raise UserError(f"{_task_files()[name]} registers no task; end the file in `register({name}, ...)`")
    return _tasks[name]


def list_tasks(split: str | None = None, family: str | None = None) -> list[str]:
    """Names of the tasks in alphabetical order, of one split (train, test, extra) or family if given."""
    for value, choices in ((split, TASK_SPLITS), (family, FAMILIES)):
        if value is not None and value not in choices:
            raise UserError(f"{value!r} is unknown; choose one of {', '.join(choices)}")
    tasks = map(load_task, sorted(_task_files()))
    return [task.name for task in tasks if split in (None, task.split) and family in (None, task.family)]


def _task_files() -> dict[str, Path]:
    folder = Path(__file__).parent
    paths = (path for family in FAMILIES for path in (folder / family).glob("*.py"))
    return {path.stem: path for path in paths if path.stem != "__init__"}
