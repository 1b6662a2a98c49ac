"""Corpora as a Hugging Face dataset: Parquet files and a dataset card, in the layout that ``load_dataset`` reads.

Each prompt form is a configuration of the dataset, and each split of instances a split of it.
"""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from megatron_rfft.common.errors import UserError
from megatron_rfft.common.files import atomic_write, sha256_file, write_json
from megatron_rfft.common.manifest import write_manifest
from megatron_rfft.common.progress import progress_bar
from megatron_rfft.common.restart import finished_manifest
from megatron_rfft.corpus.card import dataset_card
from megatron_rfft.corpus.layouts import LAYOUTS, Layout
from megatron_rfft.corpus.read import corpus_manifest, read_shard

MANIFEST = "manifest.json"
DATASET_INFO = "dataset_info.json"


def export_corpora(
    corpora: Sequence[Path], output: Path | str, name: str = "rule-following", layout: str = "records"
) -> dict[str, Any]:
    """Write ``FORM/SPLIT-00000-of-00032.parquet`` for each shard, and ``README.md``, the card. Returns the manifest.

    ``layout`` is one of ``layouts.LAYOUTS``. "messages" adds ``FORM/SPLIT.jsonl`` with the same rows, and
    ``dataset_info.json``, in which LLaMA-Factory finds the data sets ``FORM_SPLIT``.

    An export of the same corpora is left as it is. Raises UserError for another layout, for two corpora of the same
    form and split, and for a shard that is not the one of its manifest.
    """
    output = Path(output)
    if layout not in LAYOUTS:
        raise UserError(f"layout {layout!r} is unknown; choose one of {', '.join(LAYOUTS)}")
    chosen = LAYOUTS[layout]
    manifests = {folder: corpus_manifest(folder) for folder in corpora}
    inputs = {folder.name: sha256_file(folder / "manifest.json") for folder in corpora}
    inputs |= {} if layout == "records" else {"--layout": layout}  # the other keys are names of folders
    if finished := finished_manifest(output / MANIFEST, "export", inputs):
        return finished
    places = [(manifest["config"]["form"], manifest["config"]["split"]) for manifest in manifests.values()]
    if len(set(places)) < len(places):
        raise UserError(f"two of the corpora have the same form and split among {places}; export them apart")
    files = [output / "README.md"]
    with progress_bar(sum(m["counts"]["records"] for m in manifests.values()), "export", "records") as bar:
        for (form, split), (folder, manifest) in zip(places, manifests.items(), strict=True):
            with _lines(output / form / f"{split}.jsonl", chosen, files) as lines:
                shards = list(manifest["files"].items())
                for number, (shard, entry) in enumerate(shards):
                    rows = [chosen.row(record) for record in read_shard(folder / shard, entry)]
                    files.append(output / form / f"{split}-{number:05d}-of-{len(shards):05d}.parquet")
                    _write_parquet(files[-1], rows, chosen)
                    if lines:
                        lines.writelines(f"{json.dumps(row, ensure_ascii=False)}\n" for row in rows)
                    bar.update(len(rows))
    with atomic_write(files[0]) as handle:
        handle.write(dataset_card(name, list(manifests.values()), chosen.fields))
    if chosen.has_jsonl:
        files.append(output / DATASET_INFO)
        write_json(files[-1], {f"{form}_{split}": _llama_factory(form, split) for form, split in places})
    records = (manifest["counts"]["records"] for manifest in manifests.values())
    counts = {f"{form}/{split}": count for (form, split), count in zip(places, records, strict=True)}
    return write_manifest(output / MANIFEST, "export", files, inputs=inputs, counts=counts)


@contextmanager
def _lines(path: Path, layout: Layout, files: list[Path]) -> Iterator[IO[str] | None]:
    """A JSONL file for the rows of one corpus, added to ``files``, where the layout has one; else None."""
    if not layout.has_jsonl:
        yield None
        return
    with atomic_write(path) as handle:
        yield handle
    files.append(path)


def _write_parquet(path: Path, rows: Sequence[dict[str, Any]], layout: Layout) -> None:
    import pyarrow
    import pyarrow.parquet

    with atomic_write(path, "wb") as handle:
        table = pyarrow.Table.from_pylist(rows, schema=layout.schema())
        pyarrow.parquet.write_table(table, handle, compression="zstd", row_group_size=1000)


def _llama_factory(form: str, split: str) -> dict[str, Any]:
    """How LLaMA-Factory reads the JSONL file of one corpus."""
    tags = {"role_tag": "role", "content_tag": "content", "user_tag": "user", "assistant_tag": "assistant"}
    return {
        "file_name": f"{form}/{split}.jsonl",
        "formatting": "sharegpt",
        "columns": {"messages": "messages"},
        "tags": tags,
    }
