"""Corpora as a Hugging Face dataset: Parquet files and a dataset card, in the layout that ``load_dataset`` reads.

Each prompt form is a configuration of the dataset, and each split of instances a split of it.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from megatron_rfft.common.errors import UserError
from megatron_rfft.common.files import atomic_write, sha256_file
from megatron_rfft.common.manifest import write_manifest
from megatron_rfft.common.progress import progress_bar
from megatron_rfft.common.restart import finished_manifest
from megatron_rfft.corpus.card import dataset_card
from megatron_rfft.corpus.read import corpus_manifest, read_shard

MANIFEST = "manifest.json"
_TEXT = ("id", "task", "split", "form", "prompt", "response", "answer", "arguments")
_NUMBERS = ("version", "length", "index")
COLUMNS = ("id", "task", "version", "split", "length", "index", "form", "prompt", "response", "answer", "arguments")
"""The record's fields; ``arguments`` as JSON text, since tasks differ in their types."""


def export_corpora(corpora: Sequence[Path], output: Path | str, name: str = "rule-following") -> dict[str, Any]:
    """Write ``FORM/SPLIT-00000-of-00032.parquet`` for each shard, and ``README.md``, the card. Returns the manifest.

    An export of the same corpora is left as it is. Raises UserError for two corpora of the same form and split, and
    for a shard that is not the one of its manifest.
    """
    output = Path(output)
    manifests = {folder: corpus_manifest(folder) for folder in corpora}
    inputs = {folder.name: sha256_file(folder / "manifest.json") for folder in corpora}
    if finished := finished_manifest(output / MANIFEST, "export", inputs):
        return finished
    places = [(manifest["config"]["form"], manifest["config"]["split"]) for manifest in manifests.values()]
    if len(set(places)) < len(places):
        raise UserError(f"two of the corpora have the same form and split among {places}; export them apart")
    files = []
    with progress_bar(sum(m["counts"]["records"] for m in manifests.values()), "export", "records") as bar:
        for (form, split), (folder, manifest) in zip(places, manifests.items(), strict=True):
            shards = list(manifest["files"].items())
            for number, (shard, entry) in enumerate(shards):
                files.append(output / form / f"{split}-{number:05d}-of-{len(shards):05d}.parquet")
                bar.update(_write_parquet(folder / shard, entry, files[-1]))
    files.append(output / "README.md")
    with atomic_write(files[-1]) as handle:
        handle.write(dataset_card(name, list(manifests.values())))
    records = (manifest["counts"]["records"] for manifest in manifests.values())
    counts = {f"{form}/{split}": count for (form, split), count in zip(places, records, strict=True)}
    return write_manifest(output / MANIFEST, "export", files, inputs=inputs, counts=counts)


def _write_parquet(shard: Path, entry: dict[str, Any], path: Path) -> int:
    """One shard as one file; the number of its records."""
    import pyarrow
    import pyarrow.parquet

    types = {**dict.fromkeys(_TEXT, pyarrow.string()), **dict.fromkeys(_NUMBERS, pyarrow.int64())}
    schema = pyarrow.schema([(column, types[column]) for column in COLUMNS])
    records = [{**record, "arguments": json.dumps(record["arguments"])} for record in read_shard(shard, entry)]
    with atomic_write(path, "wb") as handle:
        table = pyarrow.Table.from_pylist(records, schema=schema)
        pyarrow.parquet.write_table(table, handle, compression="zstd", row_group_size=1000)
    return len(records)
