"""``.nemo`` files of MegatronGPTModel: a plain tar of a config, a sharded checkpoint and the tokenizer.

nemo-toolkit has this class up to 2.5.0; later ones leave it to Megatron-Bridge (``bridge.py``).

Layout, as its save_restore_connector writes and reads it: ``model_config.yaml``; ``model_weights/``, megatron-core's
sharded checkpoint with ``model.`` before every name and ``common.pt`` beside it; artifacts such as a SentencePiece
model, ``<32 hex digits>_tokenizer.model``, named in the config as ``nemo:...``. A Hugging Face tokenizer goes into the
folder ``tokenizer/``: NeMo does not resolve that by itself, ``model.tokenizer.type`` has to be set to where it is
unpacked.
"""

import hashlib
import re
import shutil
import tarfile
from pathlib import Path, PurePosixPath
from typing import Any

import torch
import yaml

from megatron_rfft.common.errors import UserError
from megatron_rfft.common.files import atomic_write, require_file, write_json
from megatron_rfft.conversion.checkpoint_weights import check_parameters, checked_weights
from megatron_rfft.conversion.dtypes import HF_NAMES, target_dtype
from megatron_rfft.conversion.export_folder import export_source
from megatron_rfft.conversion.foreign_state import NAMES, check_values, described_model, open_state, stored_rows
from megatron_rfft.conversion.imported import copy_hf_files, write_imported
from megatron_rfft.conversion.parameter_mapping import export_order
from megatron_rfft.conversion.storage.state_reader import ShardedStateReader
from megatron_rfft.conversion.storage.written_files import continued
from megatron_rfft.conversion.writing import AS_THEY_ARE, Writing
from megatron_rfft.models.config import VOCAB_MULTIPLE, ModelConfig
from megatron_rfft.training.checkpoint_files import HF, MODEL_MANIFEST, weights_chain

CONFIG, WEIGHTS, TOKENIZER = "model_config.yaml", "model_weights", "tokenizer"
_PREFIX = "model."
_TARGET = "nemo.collections.nlp.models.language_modeling.megatron_gpt_model.MegatronGPTModel"
_FIXED = {
    "mcore_gpt": True,
    "transformer_engine": True,
    "normalization": "rmsnorm",
    "bias": False,
    "activation": "fast-swiglu",
    "position_embedding_type": "rope",
    "rotary_percentage": 1.0,
}
"""What every model that this package knows has."""
_NEUTRAL: dict[str, tuple] = {
    "transformer_block_type": ("pre_ln",),
    "attention_type": ("multihead",),
    "layernorm_zero_centered_gamma": (False,),
    "headscale": (False,),
    "rotary_interleaved": (False,),
    "seq_len_interpolation_factor": (1,),
    "window_size": (),
    "num_moe_experts": (),
}
"""What such a config may say besides, and the values with which it is the model that this package knows; or null."""
_SCALED = 8.0  # the one stretching of rotary frequencies that NeMo's scale_positional_embedding stands for


def to_nemo(checkpoint: Path, output: Path, base: Path | None = None, how: Writing = AS_THEY_ARE) -> Path:
    """Export ``checkpoint`` (adapters merged) as the file ``output``; beside it, there must be room for it twice.

    Raises UserError if the checkpoint is damaged, ``output`` exists, or NeMo has no such model.
    """
    if output.exists():
        raise UserError(f"{output} exists; remove it or give another --output")
    chain = weights_chain(checkpoint, base)
    model, reader, kept = checked_weights(chain, how.dtype)
    config = nemo_config(model, kept)
    from megatron_rfft.conversion.storage.state_writer import write_state

    job = {"source": export_source(chain[0][1]), "dtype": str(kept), "max_shard_gb": how.max_shard_gb}
    unpacked = output.with_name(f"{output.name}.unpacked")
    with continued(unpacked, job) as work:
        folder = work.files
        rows = lambda name, layer, shape: [(reader.stored(name, layer), 0, shape[0])]  # noqa: E731
        write_state(work, WEIGHTS, model, kept, rows, export_order(model), how, common={}, prefix=_PREFIX)
        (folder / TOKENIZER).mkdir(exist_ok=True)
        copy_hf_files(checkpoint / HF, folder / TOKENIZER)
        (folder / TOKENIZER / MODEL_MANIFEST).unlink(missing_ok=True)
        config["tokenizer"] = _tokenizer(folder)
        (folder / CONFIG).write_text(yaml.safe_dump(config, sort_keys=False), encoding="utf-8")
        with atomic_write(output, "wb") as handle, tarfile.open(fileobj=handle, mode="w:") as archive:
            for path in sorted(folder.iterdir()):
                archive.add(path, arcname=f"./{path.name}")
    shutil.rmtree(unpacked)
    return output


def nemo_config(model: ModelConfig, dtype: torch.dtype) -> dict[str, Any]:
    """NeMo's config of ``model``. Raises UserError if it has none."""
    if model.rope_scaling_factor not in (1.0, _SCALED):
        raise UserError(f"rope_scaling_factor is {model.rope_scaling_factor}; NeMo knows 1 and {_SCALED} alone")
    precision = {torch.bfloat16: "bf16-mixed", torch.float16: "16-mixed", torch.float32: 32}[dtype]
    return {
        "target": _TARGET,
        **{theirs: getattr(model, ours) for ours, theirs in NAMES.items()},
        **_FIXED,
        "kv_channels": model.head_dim,
        "qkv_bias": model.family.qkv_bias,
        "qk_layernorm": model.family.qk_norm,
        "encoder_seq_length": model.max_position_embeddings,
        "scale_positional_embedding": model.rope_scaling_factor == _SCALED,
        "override_vocab_size": model.vocab_size,
        "make_vocab_size_divisible_by": VOCAB_MULTIPLE,
        "hidden_dropout": 0.0,
        "attention_dropout": 0.0,
        "tensor_model_parallel_size": 1,
        "pipeline_model_parallel_size": 1,
        "precision": precision,
        "megatron_amp_O2": dtype != torch.float32,
        "dist_ckpt_format": "torch_dist",
    }


def _tokenizer(folder: Path) -> dict[str, Any]:
    """The config's section of the tokenizer in ``folder``; a SentencePiece model becomes an artifact."""
    pieces = folder / TOKENIZER / "tokenizer.model"
    if not pieces.is_file():
        return {"library": "huggingface", "type": TOKENIZER, "use_fast": True}
    name = f"{hashlib.md5(pieces.read_bytes(), usedforsecurity=False).hexdigest()}_tokenizer.model"
    shutil.copyfile(pieces, folder / name)
    return {"library": "sentencepiece", "type": None, "model": f"nemo:{name}", "sentencepiece_legacy": False}


def from_nemo(archive: Path, output: Path, how: Writing = AS_THEY_ARE) -> Path:
    """Import the ``.nemo`` file ``archive`` as a checkpoint that training starts from, in any layout.

    It is not trusted: members that lead elsewhere and pickles that name anything but tensors are refused. Raises
    UserError for these, for models of other families, and if a parameter is missing or left over.
    """
    require_file(archive, "give a .nemo file")
    stat = archive.stat()
    job = {
        "source": [str(archive.resolve()), stat.st_size, stat.st_mtime_ns],
        "dtype": how.dtype,
        "gb": how.max_shard_gb,
    }
    with continued(output, job) as work:
        unpacked = work.files / "unpacked"
        if not unpacked.is_dir():
            unpack(archive, work.files / "unpacking")
            (work.files / "unpacking").rename(unpacked)
        config = yaml.safe_load(require_file(unpacked / CONFIG, f"{archive} is not a .nemo file").read_bytes())
        if not (unpacked / WEIGHTS / ".metadata").is_file():
            raise UserError(f"{archive} holds no {WEIGHTS}/.metadata; save it as a distributed (torch_dist) checkpoint")
        reader = open_state(unpacked / WEIGHTS)
        model = _model(config, reader, archive)
        check_parameters(reader, model, archive)
        kept = target_dtype({reader.dtype(name) for name in reader.names}, how.dtype, archive)

        rows = stored_rows(reader, model, archive)
        write_imported(work, model, kept, rows, lambda hf: _write_hf(unpacked, model, kept, hf), how)
        shutil.rmtree(unpacked)
    return output


def unpack(archive: Path, folder: Path) -> None:
    """Extract plain files and folders. Raises UserError for any member that is a link or leads out of ``folder``."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    try:
        with tarfile.open(archive, "r:*") as members:
            for member in members:
                path = PurePosixPath(member.name)
                if path.is_absolute() or ".." in path.parts or not (member.isfile() or member.isdir()):
                    raise UserError(f"{archive}: member {member.name!r} leads out of it; do not use this file")
                members.extract(member, folder, filter="data")
    except (tarfile.TarError, EOFError) as error:
        raise UserError(f"{archive} is not a whole .nemo file ({error}); copy it again") from error


def _model(config: Any, reader: ShardedStateReader, archive: Path) -> ModelConfig:
    """The architecture. Raises UserError if it is none that this package knows."""
    config = check_values(config, _FIXED, _NEUTRAL, archive)
    return described_model(
        config,
        NAMES,
        reader,
        archive,
        vocab_size=config.get("override_vocab_size"),
        rope_scaling_factor=_SCALED if config.get("scale_positional_embedding") else 1.0,
    )


def _write_hf(unpacked: Path, model: ModelConfig, dtype: torch.dtype, target: Path) -> None:
    """The checkpoint's ``hf/``: the tokenizer as it came, the config as the model is."""
    if (unpacked / TOKENIZER).is_dir():
        copy_hf_files(unpacked / TOKENIZER, target)
    for file in unpacked.iterdir():
        if file.is_file() and (artifact := re.fullmatch(r"[0-9a-f]{32}_(.+)", file.name)):
            shutil.copyfile(file, target / artifact[1])
    if not (target / "config.json").is_file():
        write_json(target / "config.json", model.to_hf(HF_NAMES[dtype]))
