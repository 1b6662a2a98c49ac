"""Test questions in training data: what a model then scores on them says nothing, so whoever meets them is told."""

from collections.abc import Iterable, Mapping
from typing import Any

from megatron_rfft.data.documents import Documents
from megatron_rfft.tasks import current_name

EVALUATED = "test"
"""The split of instances that evaluations ask, unless they are told otherwise."""


def warn_of_tokenized(manifest: Mapping[str, Any], name: str) -> str | None:
    """The line for whoever made the data set ``name`` of instances that evaluations ask; None if it has none."""
    if (told := _told(manifest)) is None:
        return None
    return f"warning: {name}: {told}, which evaluations ask; to train on it, make it of another split (--split train)"


def warnings_of_training(parts: Iterable[Documents]) -> list[str]:
    """A line for each data set of ``data.train`` that holds instances that evaluations ask."""
    told = [(part.paths.prefix, _told(part.manifest)) for part in parts]
    return [
        f"warning: {prefix} of data.train: {what}: what the model scores on these questions will say nothing"
        for prefix, what in told
        if what is not None
    ]


def warn_of_asked(data: Iterable[Mapping[str, Any]], split: str, tasks: Iterable[str]) -> str | None:
    """The line for an evaluation on ``split`` of a model whose manifest lists ``data``; None if all is well.

    A data set says how many of its documents are of a split, and which tasks it has: both have to meet.
    """
    for part in data:
        known = {current_name(task) for task in part.get("tasks", ())}
        shared = [task for task in tasks if task in known]
        if shared and (found := (part.get("splits") or {}).get(split)):
            model = "the model that this one was trained from" if part.get("base") else "the model"
            return (
                f"{model} was trained on {part['name']}, where {found:,} of {part['documents']:,} documents are "
                f"instances of split {split}: the questions of {', '.join(shared)} may be among them"
            )
    return None


def _told(manifest: Mapping[str, Any]) -> str | None:
    if not (found := (manifest.get("splits") or {}).get(EVALUATED)):
        return None
    return f"{found:,} of {manifest['counts']['documents']:,} documents are instances of split {EVALUATED}"
