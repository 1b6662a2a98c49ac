"""The folder that an export of a checkpoint makes: its source, the files beside the weights, its manifest."""

import hashlib
import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from megatron_rfft.common.errors import UserError
from megatron_rfft.common.manifest import checksum_in, read_manifest, write_manifest
from megatron_rfft.common.restart import Work, finished_manifest
from megatron_rfft.conversion.storage.written_files import continued, work_on
from megatron_rfft.training.checkpoint_files import HF, MODEL_KIND, MODEL_MANIFEST, STATE


def export_source(manifest: dict, **how: str) -> dict:
    """What an export says that it was made from: the checksum of the state's checksums, its step."""
    files = manifest["files"].items()
    state = {name: checksum_in(entry)[1] for name, entry in files if name.startswith(f"{STATE}/")}
    if "adapter" in manifest:
        state["base"] = manifest["adapter"]["base"]["manifest_sha256"]
    digest = hashlib.sha256(json.dumps(state, sort_keys=True).encode()).hexdigest()
    return {"checkpoint_state": digest, "step": manifest["step"], **how}


def write_export(
    checkpoint: Path, output: Path, source: dict, fill: Callable[[Work], Mapping[Path, str]], **how: Any
) -> Path:
    """Make the folder ``output`` of the checkpoint's ``hf/``, what ``fill`` does there, and a manifest; atomic.

    ``fill`` returns the checksums that it knows. What a killed run with the same ``source`` and ``how`` left is there
    when it begins.
    """
    if output.exists():
        if finished_manifest(output / MODEL_MANIFEST, MODEL_KIND, source, section="source", output=output):
            work_on(output).end()  # a killed run may have come this far
            return output
        raise UserError(f"{output} exists and is not a whole export; remove it or give another --output")
    with continued(output, {"source": source, **how}) as work:
        folder = work.files
        shutil.copytree(checkpoint / HF, folder, dirs_exist_ok=True)
        known = fill(work)
        model_file = folder / MODEL_MANIFEST
        trained = read_manifest(model_file, MODEL_KIND) if model_file.is_file() else {}
        told = ("form", "chat", "bos_id", "trained_lengths", "training", "data")
        sections = {key: trained[key] for key in told if key in trained}
        files = [path for path in folder.iterdir() if path != model_file and not path.name.startswith(".")]
        write_manifest(model_file, MODEL_KIND, files, known, **sections, source=source)
    return output
