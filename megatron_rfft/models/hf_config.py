"""A Hugging Face ``config.json`` read key by key: a key that would make another model of it is refused by name.

Each key is one of three kinds: it is read, it has a value that the trainer computes with (``_FIXED``), or it does not
change what the model computes (``_NO_EFFECT``, and a family's own). Of any other key nobody knows what it changes.
"""

from pathlib import Path
from typing import Any

from megatron_rfft.common.errors import UserError
from megatron_rfft.common.families import FAMILIES, Family
from megatron_rfft.common.files import read_json

HF_NAMES = {
    "num_layers": "num_hidden_layers",
    "hidden_size": "hidden_size",
    "ffn_hidden_size": "intermediate_size",
    "num_attention_heads": "num_attention_heads",
    "num_query_groups": "num_key_value_heads",
    "vocab_size": "vocab_size",
    "max_position_embeddings": "max_position_embeddings",
    "norm_epsilon": "rms_norm_eps",
    "tie_embeddings": "tie_word_embeddings",
    "init_std": "initializer_range",
}

LLAMA3_ROPE = {"low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 8192}
"""The constants of Llama 3.1's rotary scaling, which megatron-core fixes; only the factor is free."""

_READ = {
    *HF_NAMES.values(),
    *("model_type", "architectures", "layer_types", "head_dim", "rope_theta", "rope_scaling", "rope_parameters"),
}
_ROPE_KEYS = {"rope_type", "type", "rope_theta", "factor", "partial_rotary_factor", *LLAMA3_ROPE}
_FIXED: dict[str, tuple[Any, ...]] = {
    "attention_bias": (False,),
    "mlp_bias": (False,),
    "use_sliding_window": (False,),
    "use_mrope": (False,),
    "rope_interleaved": (False,),
    "partial_rotary_factor": (1,),
    "is_encoder_decoder": (False,),
    "add_cross_attention": (False,),
}
"""The values with which the trainer computes; a key that is absent or null has the first one."""
_ACTIVATIONS = {"silu": ("silu", "swish")}
"""The names that a family's activation goes by."""
_BOOKKEEPING = """
torch_dtype dtype use_bfloat16 use_cache transformers_version tokenizer_class _name_or_path name_or_path _commit_hash
attention_dropout gradient_checkpointing chunk_size_feed_forward pretraining_tp torchscript _attn_implementation
attn_implementation _attn_implementation_autoset _flash_attn_2_enabled max_sequence_length bos_token_id eos_token_id
pad_token_id unk_token_id sep_token_id decoder_start_token_id prefix id2label label2id num_labels problem_type
task_specific_params finetuning_task return_dict output_attentions output_hidden_states is_decoder
cross_attention_hidden_size tie_encoder_decoder tf_legacy_loss unsloth_version unsloth_fixed transformers.js_config
is_llama_config
"""
_GENERATION = """
max_length min_length max_new_tokens do_sample early_stopping num_beams num_beam_groups diversity_penalty temperature
top_k top_p typical_p repetition_penalty length_penalty no_repeat_ngram_size encoder_no_repeat_ngram_size bad_words_ids
num_return_sequences output_scores return_dict_in_generate forced_bos_token_id forced_eos_token_id remove_invalid_values
exponential_decay_length_penalty suppress_tokens begin_suppress_tokens
"""
"""Earlier versions of transformers wrote these into the same file."""
_NO_EFFECT = {*_BOOKKEEPING.split(), *_GENERATION.split()}


def read_hf_config(file: Path) -> dict[str, Any]:
    """The fields of a ModelConfig in ``file``. Raises UserError for what another model would be trained from."""
    raw = read_json(file)
    if not isinstance(raw, dict):
        raise UserError(f"{file} is a {type(raw).__name__}, not a JSON object; give a complete config.json")
    architecture = raw.get("model_type")
    if not isinstance(architecture, str) or architecture not in FAMILIES:
        raise UserError(f"{file}: model_type {architecture!r} is not supported; supported: {', '.join(FAMILIES)}")
    family = FAMILIES[architecture]
    _refuse_quantized(raw, file)
    _refuse_others(raw, family, file)
    rope = _rope(raw, file)
    values: dict[str, Any] = {
        "architecture": architecture,
        "rope_theta": float(_checked("rope_theta", rope.get("rope_theta") or raw.get("rope_theta") or 10000.0, file)),
        "rope_scaling_factor": _rope_scaling_factor(rope, family, file),
    }
    for ours, theirs in HF_NAMES.items():
        value = raw.get(theirs)
        if value is None and (theirs in raw or family.heads_as_groups) and ours == "num_query_groups":
            value = raw.get("num_attention_heads")  # a config older than grouped queries
        if value is not None:
            values[ours] = _checked(theirs, value, file)
        elif ours != "init_std":
            raise UserError(f"{file} has no {theirs!r}; give a complete config.json")
    return values | {"head_dim": _head_dim(raw, values, family, file)}


def _head_dim(raw: dict[str, Any], values: dict[str, Any], family: Family, file: Path) -> int:
    """The head dimension; 0 where it is hidden_size / num_attention_heads without being stated."""
    stated = raw.get("head_dim")
    if not stated:
        if family.head_dim == "required":
            raise UserError(f"{file} has no 'head_dim'; give a complete config.json")
        return 0
    stated, heads = _checked("head_dim", stated, file), values["num_attention_heads"]
    if family.head_dim == "derived" and heads and stated != values["hidden_size"] // heads:
        raise UserError(f"{file}: head_dim {stated} is not hidden_size / num_attention_heads")
    return stated


def _checked(key: str, value: Any, file: Path) -> Any:
    """``value`` if it is of the kind that ``key`` has."""
    kinds: Any = int
    if key == "tie_word_embeddings":
        kinds = bool
    elif key in ("rms_norm_eps", "initializer_range", "rope_theta"):
        kinds = (int, float)
    if not isinstance(value, kinds) or (isinstance(value, bool) and kinds is not bool):
        wanted = {bool: "true or false", int: "a whole number"}.get(kinds, "a number")
        raise UserError(f"{file}: {key} is {value!r}; it must be {wanted}")
    return value


def _refuse_quantized(raw: dict[str, Any], file: Path) -> None:
    for key in ("quantization_config", "compression_config"):
        if found := raw.get(key):
            method = found.get("quant_method") if isinstance(found, dict) else None
            raise UserError(
                f"{file}: {key} says that the weights are quantized ({method or found}); give the bf16 model"
            )


def _refuse_others(raw: dict[str, Any], family: Family, file: Path) -> None:
    """Raise UserError for a key with which the trainer would not compute what transformers and vLLM compute."""
    known, fixed = family.hf_class, {"hidden_act": _ACTIVATIONS[family.activation], **_FIXED}
    classes = raw.get("architectures") or [known]
    if known.lower() not in [str(name).lower() for name in classes]:
        raise UserError(f"{file}: architectures is {classes}; only {known} is supported")
    if raw.get("auto_map"):
        raise UserError(f"{file}: auto_map names code of the model's own, which is not supported; use a model without")
    layer_types = raw.get("layer_types") or []
    if others := [kind for kind in layer_types if kind != "full_attention"]:
        raise UserError(f"{file}: layer_types has {others[0]!r}; only 'full_attention' is supported")
    for key, value in raw.items():
        if key in _READ or value in (None, {}, []):  # as if it were not there
            continue
        if key in fixed:
            if value not in fixed[key]:
                raise UserError(
                    f"{file}: {key} is {value!r}, only {fixed[key][0]!r} is supported; use a model with that"
                )
        elif key not in _NO_EFFECT and key not in family.no_effect:
            raise UserError(
                f"{file}: {key} is {value!r}, and what that changes is not known here; use a model without it, or "
                "remove it if it changes nothing"
            )


def _rope(raw: dict[str, Any], file: Path) -> dict[str, Any]:
    """What is said of rotary positions: transformers 5 writes rope_parameters, earlier ones rope_scaling."""
    sections = {key: value for key in ("rope_scaling", "rope_parameters") if (value := raw.get(key))}
    for key, section in sections.items():
        if not isinstance(section, dict):
            raise UserError(f"{file}: {key} is {section!r}; it must be an object")
        if unknown := [name for name in section if name not in _ROPE_KEYS and section[name] is not None]:
            raise UserError(f"{file}: {key}.{unknown[0]} is not supported; use a model without")
    merged: dict[str, Any] = {}
    for section in sections.values():
        for name, value in section.items():
            if merged.setdefault(name, value) != value:
                raise UserError(f"{file}: rope_scaling and rope_parameters differ in {name}; remove one of them")
    if (merged.get("partial_rotary_factor") or 1) != 1:
        raise UserError(f"{file}: partial_rotary_factor is {merged['partial_rotary_factor']}; only 1 is supported")
    return merged


def _rope_scaling_factor(rope: dict[str, Any], family: Family, file: Path) -> float:
    """1.0 without scaling, Llama 3.1's factor; anything else is refused."""
    kind = rope.get("rope_type") or rope.get("type") or "default"
    if kind not in family.rope:
        raise UserError(f"{file}: rope_scaling of type {kind!r} is not supported; remove it, or use a model without")
    if kind == "default":
        return 1.0
    for key, expected in LLAMA3_ROPE.items():
        if rope.get(key) != expected:
            raise UserError(f"{file}: rope_scaling.{key} is {rope.get(key)!r}; only {expected} is supported")
    if not isinstance(rope.get("factor"), int | float):
        raise UserError(f"{file}: rope_scaling.factor is {rope.get('factor')!r}; it must be a number")
    return float(rope["factor"])
