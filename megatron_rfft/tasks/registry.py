"""The tasks by name. A task's file is found by its name and registers itself on its last line.

A user's own task is a file of the same form anywhere: loaded by ``load_task_file``, or found by itself if an installed
package names its module as an entry point of the group ``megatron_rfft.tasks``, under the task's name.
"""

import difflib
import importlib.util
import inspect
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any
from warnings import warn

from megatron_rfft.common.errors import UserError
from megatron_rfft.common.files import require_file
from megatron_rfft.rules import Rule
from megatron_rfft.tasks.gate import check_lengths, check_wordings, prove_apart
from megatron_rfft.tasks.instances import in_one_order
from megatron_rfft.tasks.names import ROLES, current_name, role_of
from megatron_rfft.tasks.random_strings import RANDOM_STRINGS, random_strings
from megatron_rfft.tasks.random_tasks import RANDOM_LISTS, RandomLists
from megatron_rfft.tasks.renamed_tasks import SETTING as RENAME
from megatron_rfft.tasks.renamed_tasks import RenamedTask
from megatron_rfft.tasks.task import AnyTask, Sampler, Task

FAMILIES = ("code", "numbers", "symbolic", "logic")
OWN_FAMILY = "own"
ENTRY_POINT_GROUP = "megatron_rfft.tasks"

_tasks: dict[str, AnyTask] = {}


def register(
    rule: Callable[..., Any],
    *,
    source: str,
    role: str | None = None,
    valid_lengths: Sequence[int],
    instance: Sampler,
    questions: Sequence[str],
    reference: Callable[..., Any],
    version: int = 1,
    symmetric: bool = False,
    split: str | None = None,
) -> Task:
    """Make the task whose rule is the plain function ``rule``; its name and folder give the task's name and family.

    ``source`` is its catalogue id (``lc_283``); ``role`` is one of ROLES, ``extra`` for a task of one's own (``split``
    is its name in older files, with ``train`` for ``pretrain`` and ``test`` for ``held-out``).
    ``instance(rng, length)`` draws the rule's arguments, JSON values; a task is ``symmetric`` if the first two of them
    may change places (see ``in_one_order``). ``questions`` are wordings with the rule's
    parameters in braces; ``reference`` solves an instance without the rule's code. Raise ``version`` with every change
    that changes examples.
    """
    path = Path(rule.__code__.co_filename)
    if path.stem not in (rule.__name__, current_name(rule.__name__)):
        raise UserError(f"{path}: the rule is called {rule.__name__}; name the file {rule.__name__}.py, like its rule")
    if role is None and split is not None:
        warn(f"{path}: write role={role_of(split)!r} for split={split!r}, its old name", FutureWarning, stacklevel=2)
        role = split
    if (known := role_of(role or "")) is None:
        raise UserError(f"{path}: role {role!r} is unknown; choose one of {', '.join(ROLES)}")
    traced = Rule(inspect.getsource(rule))
    try:
        check_lengths(valid_lengths)
        check_wordings(questions, traced)
    except UserError as error:
        raise UserError(f"{path}: {error}") from error
    of_package = path.parents[1] == _PACKAGE
    task = Task(
        name=path.stem,
        source=source,
        family=path.parent.name if of_package else OWN_FAMILY,
        role=known,
        version=version,
        valid_lengths=valid_lengths,
        rule=traced,
        instance=in_one_order(instance) if symmetric else instance,
        questions=tuple(questions),
        reference=reference,
        file=str(path),
        grows=of_package,  # as the tests see to
    )
    _tasks[task.name] = task
    return task


def load_task(name: str) -> AnyTask:
    """The task called ``name``, random rules among them. Raises UserError with similar names if there is none."""
    name = current_name(name)
    if name not in _tasks and (task := _variant(name)):
        return task
    if name not in _tasks:
        files, installed = _task_files(), _entry_points()
        if name in files:
            import_module(f"{__package__}.{files[name].parent.name}.{name}")
        elif name in installed:
            _load_own(name, f"the entry point {name}", installed[name].load)
        else:
            known = {*files, *installed, *_tasks, RANDOM_LISTS, RANDOM_STRINGS}
            close = difflib.get_close_matches(name, known, n=3)
            hint = f"did you mean {', '.join(close)}?" if close else "rfft gallery shows all, --task-file adds yours"
            raise UserError(f"no task is called {name!r}; {hint}")
    return _tasks[name]


@cache
def _variant(name: str) -> AnyTask | None:
    """A task that has no file of its own: random rules, a task with other names; None for other names."""
    base, *settings = name.split("+")
    is_renamed = [setting.partition("=")[0] == RENAME for setting in settings]
    if any(is_renamed) and base in (RANDOM_LISTS, RANDOM_STRINGS):
        raise UserError(f"{base} has other names in each example as it is; leave out +{RENAME}")
    if base == RANDOM_LISTS:
        return RandomLists(name)
    if base == RANDOM_STRINGS:
        return random_strings(name)
    if is_renamed[:1] != [True]:
        return None
    return RenamedTask(name, load_task(base))


def load_task_file(path: Path | str, is_proven: bool = False) -> Task:
    """Register the task in a file of one's own, named like its rule, and return it.

    A worker need not prove again what the process that started it has. Raises UserError if there is no such file, if it
    fails or registers no task, or if its name is taken.
    """
    path = require_file(path, "give the Python file of a task").resolve()
    name = path.stem
    if name in _tasks and Path(_tasks[name].file).resolve() == path:
        return _tasks[name]
    if name in _tasks or current_name(name) in _task_files():
        raise UserError(f"{path}: a task called {name} is there already; give the file and its rule another name")
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None:
        raise UserError(f"{path} is not a Python file; give the .py file of a task")
    return _load_own(name, path, lambda: spec.loader.exec_module(importlib.util.module_from_spec(spec)), is_proven)


def _load_own(name: str, where: Path | str, read: Callable[[], Any], is_proven: bool = False) -> Task:
    """Load the module of a task of one's own, which ``read`` does: the task is known afterwards, or an error raised.

    First another process does so and tries the task, for even the module's own lines may never return.
    """
    if not is_proven:
        prove_apart(lambda: _registered(name, where, read), where)
    return _registered(name, where, read)


def _registered(name: str, where: Path | str, read: Callable[[], Any]) -> Task:
    try:
        try:
            read()
        except UserError:
            raise
        except Exception as error:
            raise UserError(f"{where} fails with {type(error).__name__}: {error}; fix the file") from error
        if name not in _tasks:
            raise UserError(f"{where} registers no task {name}; end the file in `register({name}, ...)`")
    except BaseException:
        _tasks.pop(name, None)
        raise
    return _tasks[name]


def load_task_files(paths: Iterable[Path | str]) -> None:
    """``load_task_file`` for each of ``paths``: a file, or a folder for all Python files in it.

    Raises UserError as that does, and for a folder without one.
    """
    for path in map(Path, paths):
        files = sorted(path.glob("*.py")) if path.is_dir() else [path]
        if not files:
            raise UserError(f"{path} holds no .py file; give a task's file, or a folder of such files")
        for file in files:
            load_task_file(file)


def own_task_files() -> list[str]:
    """The files loaded by ``load_task_file``: what another process has to load to know the same tasks."""
    return [task.file for task in _tasks.values() if task.family == OWN_FAMILY and task.name not in _entry_points()]


def list_tasks(role: str | None = None, family: str | None = None) -> list[str]:
    """Names of the tasks in alphabetical order, of one role (one of ROLES) or family if given.

    Tasks of one's own, loaded or installed, are among them.
    """
    for value, choices in ((role, ROLES), (family, (*FAMILIES, OWN_FAMILY))):
        if value is not None and value not in choices:
            raise UserError(f"{value!r} is unknown; choose one of {', '.join(choices)}")
    tasks = map(load_task, sorted({*_task_files(), *_entry_points(), *_tasks}))
    return [task.name for task in tasks if role in (None, task.role) and family in (None, task.family)]


_PACKAGE = Path(__file__).parent


@cache
def _task_files() -> dict[str, Path]:
    paths = (path for family in FAMILIES for path in (_PACKAGE / family).glob("*.py"))
    return {path.stem: path for path in paths if path.stem != "__init__"}


@cache
def _entry_points() -> dict[str, EntryPoint]:
    return {entry.name: entry for entry in entry_points(group=ENTRY_POINT_GROUP)}
