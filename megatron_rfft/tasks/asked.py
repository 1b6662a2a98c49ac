"""How people name tasks and lengths: ``coin_flip:1-4,8,last_letter``, ``pretrain``, ``held-out/code:2-30:2``."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from megatron_rfft.common.cli import parse_length_shares
from megatron_rfft.common.errors import UserError
from megatron_rfft.tasks.held_out import CROSS_DOMAIN
from megatron_rfft.tasks.names import current_name, role_of
from megatron_rfft.tasks.registry import list_tasks, load_task
from megatron_rfft.tasks.renamed_tasks import renamed
from megatron_rfft.tasks.task import Task


@dataclass(frozen=True)
class AskedLengths:
    """The lengths that were asked of a task; it need not have them all."""

    weights: dict[int, float]
    """Each length with its weight (``parse_length_shares``)."""
    is_own: bool
    """Whether they were given with the task's own name."""
    is_named: bool
    """Whether the task was, and not a group that it belongs to."""

    def plain(self) -> tuple[int, ...]:
        """The lengths. Raises UserError if they have shares."""
        if set(self.weights.values()) != {1.0}:
            raise UserError(f"lengths {list(self.weights)} have shares, which only a corpus takes; leave them out")
        return tuple(self.weights)


def read_tasks(tasks: str | Sequence[str], lengths: str | None, rename: bool | str = False) -> dict[str, AskedLengths]:
    """The lengths asked of each task, from names and groups (``task_group``) with lengths of their own or ``lengths``.

    With ``rename``, the tasks come as those whose examples have names of their own, with settings if these are given
    (0.5+names=12: see ``renamed_tasks``). Raises UserError for unknown tasks and groups, for lengths that cannot be
    read, and for a task without lengths or named twice.
    """
    asked: dict[str, AskedLengths] = {}
    for word in task_words(tasks) if isinstance(tasks, str) else tasks:
        where, _, own = word.partition(":")
        group = task_group(where)
        for name in [current_name(where)] if group is None else group:
            if rename and isinstance(load_task(name), Task):
                name = renamed(name, "" if rename is True else rename)
            load_task(name)
            if name in asked:
                raise UserError(f"task {name} is named twice in {tasks!r}; give all its lengths at once: {name}:1-5,8")
            if not (own or lengths):
                raise UserError(f"task {name} has no lengths; give --lengths, or write {where}:1-10")
            asked[name] = AskedLengths(parse_length_shares(own or lengths), bool(own) and group is None, group is None)
    return asked


def task_names(text: str) -> list[str]:
    """The names in ``"add_int,coin_flip"``; roles (``held-out``), or ``held-out/code``, stand for many."""
    names = []
    for word in task_words(text):
        group = task_group(word)
        names += [word] if group is None else group
    return names


def task_group(word: str) -> list[str] | None:
    """The tasks that a role (``pretrain``), the family of a role (``pretrain/code``) or ``cross-domain`` stands for.

    The last is the second held-out set. None for other words. Raises UserError for an unknown family.
    """
    if word == "cross-domain":
        return list(CROSS_DOMAIN)
    name, slash, family = word.partition("/")
    role = role_of(name)
    return None if role is None else list_tasks(role, family if slash else None)


def task_words(text: str) -> list[str]:
    """The tasks of ``"coin_flip:1-4,8,last_letter"`` with their lengths: a comma parts lengths too, before a digit."""
    return [part.strip() for part in re.split(r",(?!\s*\d)", text)]
