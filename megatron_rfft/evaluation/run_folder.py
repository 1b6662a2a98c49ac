"""A run on disk: its settings, the generations as they arrive, and at the end the results."""

import json
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from megatron_rfft.common.errors import UserError
from megatron_rfft.common.files import atomic_write, read_json, write_json
from megatron_rfft.common.manifest import read_manifest, verify_manifest, write_manifest
from megatron_rfft.common.restart import Part, held, require_same_inputs
from megatron_rfft.tasks import current_name

RESULTS = "results.json"
SHARDS = "shards"


class RunFolder:
    """One evaluation's folder.

    ``run.json`` names the settings, ``generations.jsonl`` grows by a line per answer, ``results.json`` comes last and
    is a manifest: where it exists the run is finished.
    """

    def __init__(self, path: Path, settings: dict[str, Any]):
        self.path = path
        self._run_file = self.path / "run.json"
        self._generations = self.path / "generations.jsonl"
        if self._generations.is_file() and self._generations.stat().st_size:
            self._run = read_json(self._run_file)
            self._run["settings"] = _with_current_names(self._run["settings"])
            require_same_inputs(self.path, self._run["settings"], settings)
        else:  # nothing answered yet, so nothing to mix up
            require_no_stranger(self.path, {self._run_file.name, self._generations.name, SHARDS}, "answers of a run")
            self._run = {"settings": settings, "engine": None}
            write_json(self._run_file, self._run)

    def finished_results(self) -> dict[str, Any] | None:
        """The results of a finished run, else None. Raises UserError if its files have changed since."""
        path = self.path / RESULTS
        if not path.is_file():
            return None
        if problems := verify_manifest(path, "results"):
            raise UserError(f"{problems[0]}; delete {path} to score the answers again")
        return read_results(path)

    def read_generations(self) -> dict[str, dict[str, Any]]:
        """Records by example id. A last line that a kill cut short is removed from the file."""
        if not self._generations.is_file():
            return {}
        with open(self._generations, "rb+") as handle:
            content = handle.read()
            whole = content.rfind(b"\n") + 1
            if whole < len(content):
                handle.truncate(whole)
        records = map(_with_current_name, map(json.loads, content[:whole].splitlines()))
        return {record["id"]: record for record in records}

    @property
    def settings(self) -> dict[str, Any]:
        """What the run was begun with."""
        return self._run["settings"]

    @property
    def engine(self) -> dict[str, Any] | None:
        """The description of the engine that gave the answers; None before the first."""
        return self._run["engine"]

    def set_engine(self, engine: dict[str, Any]) -> None:
        """Note the engine, or check that it is still the one that began this run, by all that is known of both."""
        if self._run["engine"] is not None:
            both = self._run["engine"].keys() & engine.keys()
            begun, wanted = ({key: each[key] for key in both} for each in (self._run["engine"], engine))
            require_same_inputs(self.path, begun, wanted)
        self._run["engine"] = engine
        write_json(self._run_file, self._run)

    def read_shards(self) -> dict[str, dict[str, Any]]:
        """Records of all parts of this run (see ``shard_path``) by example id; the engine becomes theirs.

        Raises UserError for a part with other settings, of another engine, or still at work.
        """
        records: dict[str, dict[str, Any]] = {}
        for file in sorted(self.path.glob(f"{SHARDS}/*/run.json")):
            part = read_json(file)["settings"].get("shard")
            with open_run_folder(file.parent, {**self.settings, "shard": part}) as folder:
                found = folder.read_generations()
                if found and folder.engine:
                    self.set_engine(folder.engine)
                records |= found
        return records

    def open_for_append(self):
        """The generations file, line-buffered: a record is with the kernel as soon as its line is written."""
        return open(self._generations, "a", encoding="utf-8", buffering=1)

    def finish(self, records: Iterable[dict[str, Any]], sections: dict[str, Any]) -> dict[str, Any]:
        """Rewrite the generations in the order of ``records``, write the results and return them."""
        with atomic_write(self._generations) as handle:
            handle.writelines(format_record(record) for record in records)
        return write_manifest(self.path / RESULTS, "results", [self._generations], **sections)


def read_results(path: Path) -> dict[str, Any]:
    """The results in a finished run's file, under the names that tasks have today."""
    results = read_manifest(path, "results")
    results["settings"] = _with_current_names(results["settings"])
    if "tasks" in results:  # those of a part have none
        results["tasks"] = {current_name(task): measured for task, measured in results["tasks"].items()}
    return results


def _with_current_names(settings: dict[str, Any]) -> dict[str, Any]:
    by_task = {key: settings[key] for key in ("tasks", "lengths") if isinstance(settings.get(key), dict)}
    return settings | {key: {current_name(task): value for task, value in of.items()} for key, of in by_task.items()}


def _with_current_name(record: dict[str, Any]) -> dict[str, Any]:
    task = current_name(record["task"])
    return record | {"task": task, "id": task + record["id"].removeprefix(record["task"])}


def require_no_stranger(folder: Path, own: Collection[str], what: str) -> None:
    """Raise UserError if the folder, which has no ``what``, holds something else than the files ``own``."""
    for entry in folder.iterdir():
        if entry.name not in own and not entry.name.startswith("."):
            raise UserError(f"{folder} holds {entry.name} but no {what}; give another --output")


def shard_path(output: Path | str, shard: Part) -> Path:
    """The folder of one part of a run, within the run's own."""
    return Path(output) / SHARDS / f"{shard.number:05}-of-{shard.count:05}"


@contextmanager
def open_run_folder(path: Path | str, settings: dict[str, Any]) -> Iterator[RunFolder]:
    """Begin a run in ``path``, or continue the one there. The folder is this process's until the block ends.

    Raises UserError if the folder holds a run with other settings or something else, or if another process has it.
    """
    path = Path(path)
    with held(path / ".lock", path):
        yield RunFolder(path, settings)


def format_record(record: dict[str, Any]) -> str:
    """One line of the generations file."""
    return json.dumps(record, ensure_ascii=False) + "\n"
