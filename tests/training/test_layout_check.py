"""Every impossible layout is refused before a process exists, with the numbers and the fix."""

import pytest
import yaml

from megatron_rfft.common.errors import UserError
from megatron_rfft.models.config import ModelConfig
from megatron_rfft.training.config_reader import config_from_dict
from megatron_rfft.training.layout_check import check_heads, check_layout, micro_batch_multiple

QWEN25_7B = ModelConfig(28, 3584, 18944, 28, 4, vocab_size=152064, tie_embeddings=False)
QWEN25_32B = ModelConfig(64, 5120, 27648, 40, 8, vocab_size=152064, tie_embeddings=False)


def configured(text: str):
    """A config with the given sections beside what every config needs."""
    return config_from_dict({"run": {"output": "run"}, "model": {}, "data": {}, **yaml.safe_load(text)})


@pytest.mark.parametrize(
    ("model", "world_size", "text", "data_parallel"),
    [
        (QWEN25_7B, 8, "{parallel: {tensor: 4, sequence: true}, data: {sequence_length: 4096}}", 2),
        (QWEN25_7B, 8, "{parallel: {pipeline: 2, virtual_pipeline: 7}, batch: {global_batch_size: 32}}", 4),
        (QWEN25_32B, 64, "{parallel: {tensor: 8, pipeline: 4, virtual_pipeline: 4, sequence: true}}", 2),
        (QWEN25_32B, 64, "{parallel: {tensor: 4, context: 2}, data: {document_multiple: 4}}", 8),
        (QWEN25_7B, 8, "{data: {packed: false}, batch: {global_batch_size: 9, micro_batch_size: 4}}", 8),
        (
            QWEN25_7B,
            8,
            "{parallel: {pipeline: 2, virtual_pipeline: 7}, data: {packed: false}, batch: {global_batch_size: 5}}",
            4,
        ),
        (QWEN25_32B, 32, "{parallel: {tensor: 8, context: 2}, data: {document_multiple: 4}}", 2),
        (QWEN25_7B, 8, "{parallel: {pipeline: 2}, memory: {recompute: selective, recompute_layers: 14}}", 4),
        (
            QWEN25_32B,
            8,
            "{parallel: {tensor: 8, sequence: true}, precision: {fp8: tensorwise}, "
            "validation: {data: a, sequence_length: 4224}}",
            1,
        ),
    ],
)
def test_sound_layouts_leave_the_rest_to_data_parallelism(model, world_size, text, data_parallel):
    assert check_layout(configured(text), model, world_size) == data_parallel


@pytest.mark.parametrize(
    ("model", "world_size", "text", "expected"),
    [
        (QWEN25_7B, 8, "{parallel: {tensor: 4, tensor_overlap: true}}", "tensor_overlap needs parallel.sequence; set"),
        (
            QWEN25_7B,
            8,
            "{parallel: {tensor: 4, sequence: true, tensor_overlap: true}, data: {packed: false}}",
            "parallel.tensor_overlap needs micro-batches of one size, which steps of documents",
        ),
        (
            QWEN25_7B,
            8,
            "{parallel: {tensor: 4, sequence: true, tensor_overlap: true}, validation: {data: a, sequence_length: 64}}",
            "of one size, but validation.sequence_length is 64 and data.sequence_length 512; make them equal",
        ),
        (
            QWEN25_7B,
            8,
            "{optimizer: {gradients: bf16}, precision: {dtype: fp32}}",
            "optimizer.gradients bf16 needs precision.dtype bf16, not fp32; set it to fp32",
        ),
        (
            QWEN25_7B,
            8,
            "{memory: {recompute: selective, fp8_activation_input: true}}",
            "memory.fp8_activation_input keeps what memory.recompute selective computes again in each layer",
        ),
        (QWEN25_7B, 8, "{parallel: {tensor: 8}}", "num_attention_heads 28 is not a multiple of parallel.tensor 8"),
        (QWEN25_7B, 14, "{parallel: {tensor: 7}}", "num_query_groups 4 is not a multiple of parallel.tensor 7"),
        (QWEN25_7B, 6, "{parallel: {tensor: 4}}", "6 processes are not a multiple of parallel.tensor 4"),
        (QWEN25_7B, 4, "{parallel: {context: 3}}", "x parallel.context 3; start another number"),
        (QWEN25_7B, 8, "{parallel: {pipeline: 8}}", "num_layers 28 is not a multiple of parallel.pipeline 8 x"),
        (QWEN25_7B, 2, "{parallel: {pipeline: 2, virtual_pipeline: 4}}", "x parallel.virtual_pipeline 4; lower one"),
        (QWEN25_7B, 2, "{parallel: {virtual_pipeline: 2}}", "virtual_pipeline 2 needs parallel.pipeline > 1"),
        (
            QWEN25_32B,
            32,
            "{parallel: {pipeline: 4, virtual_pipeline: 2}, batch: {global_batch_size: 48}}",
            "multiples of parallel.pipeline 4, but there are 6 a step",
        ),
        (QWEN25_7B, 2, "{parallel: {sequence: true}}", "parallel.sequence needs parallel.tensor > 1"),
        (
            QWEN25_7B,
            2,
            "{parallel: {tensor: 2, sequence: true}, data: {sequence_length: 511}}",
            "data.sequence_length 511 is not a multiple of 2",
        ),
        (
            QWEN25_32B,
            8,
            "{parallel: {tensor: 8, sequence: true}, precision: {fp8: tensorwise}, "
            "validation: {data: a, sequence_length: 4104}}",
            "16 tokens on each rank, and there are 513; set validation.sequence_length to a multiple of 128",
        ),
        (
            QWEN25_7B,
            2,
            "{parallel: {tensor: 2, sequence: true}, validation: {data: a, sequence_length: 511}}",
            "validation.sequence_length 511 is not a multiple of 2",
        ),
        (
            QWEN25_7B,
            2,
            "{parallel: {context: 2}, data: {document_multiple: 4}, validation: {data: a, sequence_length: 514}}",
            "set validation.sequence_length to a multiple of 4",
        ),
        (QWEN25_7B, 2, "{parallel: {context: 2}}", "set data.document_multiple to a multiple of 4"),
        (
            QWEN25_7B,
            2,
            "{parallel: {context: 2}, data: {document_multiple: 4, sequence_length: 510}}",
            "set data.sequence_length to a multiple of 4",
        ),
        (
            QWEN25_7B,
            8,
            "{parallel: {pipeline: 2, virtual_pipeline: 7}, memory: {recompute: full, recompute_layers: 3}}",
            "memory.recompute_layers 3 is above the 2 layers of a model chunk",
        ),
        (QWEN25_7B, 8, "{batch: {global_batch_size: 12}}", "global_batch_size 12 is not a multiple of"),
        (
            QWEN25_7B,
            8,
            "{data: {packed: false}, batch: {global_batch_size: 7}}",
            "global_batch_size 7 (documents, as data.packed is false) is below the data-parallel size 8",
        ),
    ],
)
def test_impossible_layouts_are_refused(model, world_size, text, expected):
    with pytest.raises(UserError) as refusal:
        check_layout(configured(text), model, world_size)
    assert expected in str(refusal.value)


def test_attention_without_transformer_engine_splits_heads_over_context_parallel_ranks():
    check_heads(configured("{parallel: {tensor: 4, context: 2}}"), QWEN25_32B)
    with pytest.raises(UserError, match="num_attention_heads 40 is not a multiple"):
        check_heads(configured("{parallel: {tensor: 8, context: 2}}"), QWEN25_32B)


@pytest.mark.parametrize(
    ("text", "multiple"),
    [
        ("{parallel: {tensor: 4}}", 1),
        ("{parallel: {tensor: 4, sequence: true}}", 4),
        ("{parallel: {tensor: 4, sequence: true, context: 2}}", 8),
        ("{parallel: {context: 3}}", 6),
        ("{parallel: {tensor: 4, sequence: true}, precision: {fp8: tensorwise}}", 64),
        ("{parallel: {context: 2}, precision: {fp8: blockwise}}", 256),
    ],
)
def test_micro_batches_of_documents_are_padded_to_what_the_layout_splits(text, multiple):
    assert micro_batch_multiple(configured(text)) == multiple
