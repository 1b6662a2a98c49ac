"""Checkpoints of NVIDIA's Megatron-Bridge (0.3), which NeMo's users train with today.

Layout, as its ``training/checkpointing.py`` writes and reads it: ``iter_0000100/`` is megatron-core's sharded
checkpoint, with ``common.pt``, ``run_config.yaml`` (its config by classes: ``_target_``), ``train_state.pt``, and the
tokenizer in ``tokenizer/``. Around it, ``latest_train_state.pt`` and ``latest_checkpointed_iteration.txt`` name the
last iteration.
"""

from pathlib import Path
from typing import Any

import torch
import yaml

from megatron_rfft.common.errors import UserError
from megatron_rfft.common.files import read_json, require_directory, require_file, write_json
from megatron_rfft.conversion.checkpoint_weights import check_parameters, checked_weights
from megatron_rfft.conversion.dtypes import HF_NAMES, target_dtype
from megatron_rfft.conversion.export_folder import export_source
from megatron_rfft.conversion.foreign_state import NAMES, check_values, described_model, open_state, stored_rows
from megatron_rfft.conversion.imported import copy_hf_files, write_imported
from megatron_rfft.conversion.parameter_mapping import export_order, mappings
from megatron_rfft.conversion.storage.state_reader import ShardedStateReader
from megatron_rfft.conversion.storage.written_files import continued
from megatron_rfft.conversion.writing import AS_THEY_ARE, Writing
from megatron_rfft.models.config import VOCAB_MULTIPLE, ModelConfig
from megatron_rfft.training.checkpoint_files import HF, MODEL_MANIFEST, weights_chain

CONFIG, TOKENIZER = "run_config.yaml", "tokenizer"
_TRACKER, _TRAIN_STATE = "latest_checkpointed_iteration.txt", "train_state.pt"
_PROVIDER = "megatron.bridge.models.gpt_provider.GPTModelProvider"
_NAMES = NAMES | {"max_position_embeddings": "seq_length"}
_ACTIVATION = {"_target_": "torch.nn.functional.silu", "_call_": False}
_FIXED = {
    "normalization": "RMSNorm",
    "gated_linear_unit": True,
    "add_bias_linear": False,
    "position_embedding_type": "rope",
    "activation_func": _ACTIVATION,
}
"""What every model that this package knows has."""
_NEUTRAL: dict[str, tuple] = {
    "rotary_percent": (1.0,),
    "rotary_interleaved": (False,),
    "rotary_scaling_factor": (),
    "seq_len_interpolation_factor": (),
    "mrope_section": (),
    "no_rope_freq": (),
    "window_size": (),
    "window_attn_skip_freq": (),
    "softmax_scale": (),
    "softmax_type": ("vanilla",),
    "qk_l2_norm": (False,),
    "attention_output_gate": (False,),
    "multi_latent_attention": (False,),
    "experimental_attention_variant": (),
    "layernorm_zero_centered_gamma": (False,),
    "apply_residual_connection_post_layernorm": (False,),
    "glu_linear_offset": (0.0,),
    "activation_func_clamp_value": (),
    "num_moe_experts": (),
    "mtp_num_layers": (0,),
    "heterogeneous_block_specs": (False,),
    "is_hybrid_model": (False,),
    "restore_modelopt_state": (False,),
}
"""What its config may say besides, and the values with which it is the model that this package knows; or null."""


def to_bridge(checkpoint: Path, output: Path, base: Path | None = None, how: Writing = AS_THEY_ARE) -> Path:
    """Export ``checkpoint`` (adapters merged) as the folder ``output``, which Bridge trains from or converts.

    Weights alone: Bridge's optimizer starts anew. Raises UserError if the checkpoint is damaged or ``output`` exists.
    """
    if output.exists():
        raise UserError(f"{output} exists; remove it or give another --output")
    chain = weights_chain(checkpoint, base)
    model, reader, kept = checked_weights(chain, how.dtype)
    step = chain[0][1]["step"]
    from megatron_rfft.conversion.storage.state_writer import write_state
    from megatron_rfft.training.checkpoint import content_metadata

    job = {"source": export_source(chain[0][1]), "dtype": str(kept), "max_shard_gb": how.max_shard_gb}
    common = {"checkpoint_version": 3.0, "iteration": step, "content_metadata": content_metadata()}
    with continued(output, job) as work:
        place = f"iter_{step:07d}"
        folder = work.files / place
        rows = lambda name, layer, shape: [(reader.stored(name, layer), 0, shape[0])]  # noqa: E731
        empty = _norm_states(model)
        write_state(work, place, model, kept, rows, export_order(model), how, common=common, empty_states=empty)
        (folder / TOKENIZER).mkdir(exist_ok=True)
        copy_hf_files(checkpoint / HF, folder / TOKENIZER)
        (folder / TOKENIZER / MODEL_MANIFEST).unlink(missing_ok=True)
        (folder / CONFIG).write_text(yaml.safe_dump(run_config(model, kept), sort_keys=False), encoding="utf-8")
        for file in (folder / _TRAIN_STATE, work.files / f"latest_{_TRAIN_STATE}"):
            torch.save(_train_state(step, chain[0][1]["consumed_samples"]), file)
        (work.files / _TRACKER).write_text(str(step), encoding="utf-8")
    return output


def _norm_states(model: ModelConfig) -> list[str]:
    """What Transformer Engine's norms look for in a checkpoint, apart from their weights: nothing is in it.

    Norms that it fuses with the product behind them have none of their own.
    """
    norms = [name.removesuffix(".weight") for name in mappings(model) if name.endswith("layernorm.weight")]
    return [f"{name}._extra_state" for name in norms]


def run_config(model: ModelConfig, dtype: torch.dtype) -> dict[str, Any]:
    """Bridge's ``run_config.yaml`` of ``model`` with parameters in ``dtype``: what it reads when it loads weights."""
    provider = {
        "_target_": _PROVIDER,
        **{theirs: getattr(model, ours) for ours, theirs in _NAMES.items()},
        **_FIXED,
        "kv_channels": model.head_dim,
        "add_qkv_bias": model.family.qkv_bias,
        "qk_layernorm": model.family.qk_norm,
        "rotary_percent": 1.0,
        "rope_scaling": model.rope_scaling_factor != 1,
        "rope_scaling_factor": model.rope_scaling_factor,
        "vocab_size": model.vocab_size,
        "should_pad_vocab": True,
        "make_vocab_size_divisible_by": VOCAB_MULTIPLE,
        "hidden_dropout": 0.0,
        "attention_dropout": 0.0,
        "params_dtype": {"_target_": str(dtype), "_call_": False},
        "bf16": dtype == torch.bfloat16,
        "fp16": dtype == torch.float16,
        "tensor_model_parallel_size": 1,
        "pipeline_model_parallel_size": 1,
    }
    tokenizer = {
        "_target_": "megatron.bridge.training.tokenizers.config.TokenizerConfig",
        "tokenizer_type": "HuggingFaceTokenizer",
        # An empty path is how Bridge says: in the folder tokenizer/ of this checkpoint.
        "tokenizer_model": {"_target_": "pathlib.Path", "_call_": True},
    }
    checkpoint = {
        "_target_": "megatron.bridge.training.config.CheckpointConfig",
        "ckpt_format": "torch_dist",
        "save_optim": False,
        "save_rng": False,
        "fully_parallel_save": True,
    }
    return {"model": provider, "tokenizer": tokenizer, "checkpoint": checkpoint}


def _train_state(step: int, samples: int) -> dict[str, torch.Tensor]:
    """Bridge's TrainState: where the training stands whose weights these are."""
    counts = {"step": step, "consumed_train_samples": samples, "skipped_train_samples": 0, "consumed_valid_samples": 0}
    state = {name: torch.tensor(value, dtype=torch.int32) for name, value in counts.items()}
    state["floating_point_operations_so_far"] = torch.tensor(0.0)
    return {**state, **{name: torch.tensor(False) for name in ("do_train", "do_valid", "do_test")}}


def from_bridge(source: Path, output: Path, how: Writing = AS_THEY_ARE) -> Path:
    """Import weights of Bridge's checkpoint ``source`` as one that training starts from, in any layout.

    ``source`` is a folder ``iter_*``, or the one around it: then its last. It is not trusted: nothing in it is
    executed, and pickles that name anything but tensors are refused. Raises UserError for these, for models of other
    families, and if a parameter is missing or left over.
    """
    folder = _iteration(source)
    file = require_file(folder / CONFIG, f"{folder} is not a checkpoint of Megatron-Bridge")
    try:
        config = yaml.safe_load(file.read_bytes())
    except yaml.YAMLError as error:
        raise UserError(f"{file} is not a config ({' '.join(str(error).split())[:200]}); copy it again") from error
    reader = open_state(folder)
    model = _model(config.get("model") if isinstance(config, dict) else None, reader, file)
    check_parameters(reader, model, folder)
    kept = target_dtype({reader.dtype(name) for name in reader.names}, how.dtype, folder)
    stat = (folder / ".metadata").stat()
    job = {
        "source": [str(folder.resolve()), stat.st_size, stat.st_mtime_ns],
        "dtype": str(kept),
        "gb": how.max_shard_gb,
    }
    with continued(output, job) as work:
        rows = stored_rows(reader, model, folder)
        write_imported(work, model, kept, rows, lambda hf: _write_hf(folder / TOKENIZER, model, kept, hf), how)
    return output


def _iteration(source: Path) -> Path:
    """The folder of one iteration: ``source``, or the last one in it."""
    require_directory(source, "give a checkpoint of Megatron-Bridge, a folder iter_* or the one around it")
    if (source / ".metadata").is_file():
        return source
    tracker = require_file(source / _TRACKER, f"{source} holds no .metadata; give a folder iter_* with a checkpoint")
    last = tracker.read_text(encoding="utf-8").strip()
    if not last.isdecimal():
        raise UserError(f"{tracker} says {last[:40]!r}, no iteration; give the folder with the checkpoint itself")
    folder = source / f"iter_{int(last):07d}"
    require_file(folder / ".metadata", f"{tracker} says {last}; save it as a distributed (torch_dist) checkpoint")
    return folder


def _model(config: Any, reader: ShardedStateReader, file: Path) -> ModelConfig:
    """The architecture. Raises UserError if it is none that this package knows."""
    config = check_values(config, _FIXED, _NEUTRAL, file)
    if missing := [key for key in _FIXED if key not in config]:  # Bridge takes another value then
        raise UserError(f"{file}: its model has no {missing[0]!r}; copy it again")
    scaled = config.get("rope_scaling")
    if scaled and "rope_scaling_factor" not in config:
        raise UserError(f"{file}: its model has no 'rope_scaling_factor'; copy it again")
    return described_model(
        config,
        _NAMES,
        reader,
        file,
        vocab_size=config.get("vocab_size"),
        rope_scaling_factor=float(config["rope_scaling_factor"]) if scaled else 1.0,
    )


def _write_hf(tokenizer: Path, model: ModelConfig, dtype: torch.dtype, target: Path) -> None:
    """The checkpoint's ``hf/``: the tokenizer as it came, the config as the model is."""
    if tokenizer.is_dir():
        copy_hf_files(tokenizer, target)
    config, generation = target / "config.json", target / "generation_config.json"
    ends = read_json(generation).get("eos_token_id") if generation.is_file() else None
    write_json(config, {**model.to_hf(HF_NAMES[dtype]), **({} if ends is None else {"eos_token_id": ends})})
