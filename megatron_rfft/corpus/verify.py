"""Proving a corpus: its files against the manifest's checksums, its counts, and a sample of records made again."""

from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

from megatron_rfft.common.errors import UserError
from megatron_rfft.common.manifest import verify_manifest
from megatron_rfft.common.progress import progress_bar
from megatron_rfft.corpus.read import corpus_manifest, read_records
from megatron_rfft.tasks import Task, current_name, load_task
from megatron_rfft.tasks.gate import prove_answer

MOST_PROBLEMS = 20


def verify_corpus(folder: Path | str, samples: int = 1000, seed: int = 0) -> dict[str, Any]:
    """Check every file, recount every cell, and make ``samples`` records again from their task, length and index.

    The answers of these are compared with the task's reference, too.

    Returns ``records``, ``rederived`` and ``problems``, a list of lines, empty for a sound corpus. Raises UserError if
    there is no corpus.
    """
    folder = Path(folder)
    manifest = corpus_manifest(folder)
    problems = verify_manifest(folder / "manifest.json", "corpus")
    if problems:  # nothing that follows could be trusted
        return {"records": 0, "rederived": 0, "problems": problems}
    total = manifest["counts"]["records"]
    chosen = set(Random(seed).sample(range(total), min(samples, total)))
    cells: Counter[tuple[str, str]] = Counter()
    others: Counter[str] = Counter()  # than the manifest says
    seen: set[str] = set()
    with progress_bar(total, f"verify {folder.name}", "records") as bar:
        for position, record in enumerate(read_records(folder)):
            cells[record["task"], str(record["length"])] += 1
            others.update(key for key in ("split", "form") if record[key] != manifest["config"][key])
            if record["id"] in seen:
                problems.append(f"record {record['id']} is there twice")
            seen.add(record["id"])
            if position in chosen:
                problems += _rederive(record)
            bar.update()
    for key, count in others.items():
        problems.append(f"{count} records have another {key} than {manifest['config'][key]}, which the manifest says")
    stated = {(t, n): count for t, by_length in manifest["counts"]["cells"].items() for n, count in by_length.items()}
    for cell in sorted(cells.keys() | stated.keys()):
        if cells[cell] != (count := stated.get(cell, 0)):
            problems.append(f"{cell[0]} has {cells[cell]} records of length {cell[1]}, the manifest says {count}")
    return {"records": sum(cells.values()), "rederived": len(chosen), "problems": problems[:MOST_PROBLEMS]}


def _rederive(record: dict[str, Any]) -> list[str]:
    try:
        task = load_task(record["task"])
        example = task.example(record["length"], record["split"], record["index"], record["form"])
        if isinstance(base := getattr(task, "task", task), Task):  # random rules have no reference
            prove_answer(base, example.arguments, base.rule.run(*example.arguments))
    except UserError as error:
        return [f"record {record['id']} can't be made again: {error}"]
    old, new = record["task"], current_name(record["task"])  # of a corpus from before the task was renamed
    again = example.record() | {"task": old, "id": old + example.id.removeprefix(new)}
    differing = [key for key in again if again[key] != record.get(key)]
    return [f"record {record['id']} has another {differing[0]} when it is made again"] if differing else []
