"""Many tasks on one screen: heat maps of tasks by lengths, tasks in groups by what they are for."""

from collections.abc import Sequence

from megatron_rfft.common.errors import UserError
from megatron_rfft.evaluation.runs import Run
from megatron_rfft.pages.heat_map import Scale, heat_map
from megatron_rfft.tasks import ROLES, load_task

GROUPED_FROM = 16
"""From so many tasks on their panels are small, and in groups that fold."""
MOST_NUMBERS = 24
"""Lengths up to which the cells of a heat map hold their numbers."""
GROUP_TITLES = dict(zip(ROLES, ("tasks of RF-pretraining", "held-out tasks", "extra tasks"), strict=True))
OWN = "tasks of one's own"


def groups(tasks: Sequence[str]) -> dict[str, list[str]]:
    """The tasks by what they are for, the held-out ones first, each group in the order given."""
    found: dict[str, list[str]] = {title: [] for title in (GROUP_TITLES["held-out"], *GROUP_TITLES.values(), OWN)}
    for task in tasks:
        found[_group(task)].append(task)
    return {title: names for title, names in found.items() if names}


def _group(task: str) -> str:
    try:
        return GROUP_TITLES[load_task(task).role]
    except UserError:  # measured with a file of somebody's own
        return OWN


def accuracy_heat(run: Run, tasks: Sequence[str], lengths: Sequence[int], unit: str) -> str:
    """The accuracies of ``run`` in percent as inline SVG: a row for each of ``tasks``, a column for each length."""
    column = {length: x for x, length in enumerate(lengths)}
    cells = {(y, column[length]): cell for y, task in enumerate(tasks) for length, cell in run.cells(task).items()}

    def told(y: int, x: int) -> str:
        low, high = (100 * bound for bound in cells[y, x]["interval"])
        return f" % ({low:.0f} to {high:.0f}), {cells[y, x]['n']} answers"

    return heat_map(
        tasks,
        [str(length) for length in lengths],
        {place: 100 * cell["accuracy"] for place, cell in cells.items()},
        Scale(0, 100, show="{:.0f}".format),
        f"Accuracy of {run.name} by task and length",
        unit,
        numbers=len(lengths) <= MOST_NUMBERS,
        told=told,
    )
