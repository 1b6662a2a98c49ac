"""A stage of a chain: tasks that are alike, what each of them runs, needs and leaves."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Task:
    """What one process does, or the processes of one training."""

    name: str
    """For people."""
    script: str
    """Text of a shell script that does it on one machine; it is run from the checkout."""
    is_done: Callable[[], bool]
    needs: Mapping[str, Sequence[int]] = field(default_factory=dict)
    """Tasks that must have ended well, by the names of their stages."""
    run: Path | None = None
    """Folder of the training run."""
    tokens: int = 0
    """That it trains on, for an estimate of how long it takes."""


@dataclass(frozen=True)
class Stage:
    """A Slurm job or an array of jobs, or processes of one machine."""

    name: str
    tasks: list[Task]
    folder: Path
    """Of the tasks' scripts, N.sh."""
    is_array: bool = True
    """In Slurm; one job else, of the one task."""
    template: str = "stage.sbatch"
    arguments: list[str] = field(default_factory=list)
    """Of the template."""
    files: dict[Path, str] = field(default_factory=dict)
    """To write before it is submitted to Slurm."""
    options: list[str] = field(default_factory=list)
    """Of sbatch."""
    variables: dict[str, str] = field(default_factory=dict)
    """For the template."""
    pairs: frozenset[str] = frozenset()
    """Arrays of which each task here needs the one with its own number alone."""
    is_quick: bool = False
    """Who needs one of its tasks in Slurm may wait for all, so that jobs are few."""
    is_coarse: bool = False
    """Some of its tasks can't be told apart by what they leave."""

    @property
    def scripts(self) -> dict[Path, str]:
        """The scripts of its tasks."""
        return {self.script(number): task.script for number, task in enumerate(self.tasks)}

    def script(self, number: int) -> Path:
        """The file of a task's script."""
        return self.folder / f"{number}.sh"

    def command(self, tasks: Sequence[int], dependency: str, comment: str = "") -> list[str]:
        """The sbatch command for ``tasks``, with sbatch's options ``dependency`` and ``comment`` (empty: none)."""
        words = ["sbatch", "--parsable", f"--job-name=rfft-{self.name}"]
        words += [f"--comment={comment}"] if comment else []
        words += self.options
        if self.is_array:
            words.append(f"--array={','.join(map(str, tasks))}")
        if dependency:
            words += [f"--dependency={dependency}", "--kill-on-invalid-dep=yes"]
        return [*words, f"slurm/{self.template}", *self.arguments]


def missing_tasks(stages: Sequence[Stage], last: tuple[str, int]) -> dict[str, list[int]]:
    """The tasks of each stage that are not done and that task ``last`` needs; what only done tasks need is left out."""
    by_name = {stage.name: stage for stage in stages}
    found: dict[str, set[int]] = {name: set() for name in by_name}
    todo = [last]
    while todo:
        name, number = todo.pop()
        task = by_name[name].tasks[number]
        if number not in found[name] and not task.is_done():
            found[name].add(number)
            todo += [(other, each) for other, numbers in task.needs.items() for each in numbers]
    return {name: sorted(numbers) for name, numbers in found.items()}
