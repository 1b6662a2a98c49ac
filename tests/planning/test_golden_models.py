"""What the package computes of the published models, against values on record: a changed number is a changed model.

To accept new ones, run ``python -m tests.planning.test_golden_models`` and read the difference in git.
"""

import dataclasses
import hashlib
import itertools
import json
from typing import Any

import pytest

from megatron_rfft.conversion.parameter_mapping import hf_names, parameters
from megatron_rfft.diagnostics.checks.speed import rank_products
from megatron_rfft.models.config import ModelConfig
from megatron_rfft.models.flops import matmul_parameters, training_flops
from megatron_rfft.planning.gpus import GPUS
from megatron_rfft.planning.layout import Layout, Workload
from megatron_rfft.planning.memory import chunk_parameters, layer_activations, rank_memory
from megatron_rfft.planning.speed import flops_per_token, step_time
from tests.conftest import ROOT

GOLDEN = ROOT / "tests/planning/golden/models.json"
MODELS = ("qwen2.5-0.5b", "qwen2.5-7b", "qwen2.5-32b", "llama-3.1-8b", "llama-3.2-1b", "qwen3-4b")
WORK = {
    "bf16": Workload(sequence_length=4096, global_batch_size=64, steps=10),
    "packed": Workload(sequence_length=8192, global_batch_size=64, steps=10, document_tokens=1234.5, overlap=False),
    "tensorwise": Workload(sequence_length=4096, global_batch_size=64, steps=10, fp8="tensorwise"),
    "blockwise": Workload(
        sequence_length=4096, global_batch_size=64, steps=10, fp8="blockwise", fp8_first_last_bf16=False
    ),
    "pissa": Workload(sequence_length=4096, global_batch_size=64, steps=10, adapter_rank=8, adapter_start=True),
}
LAYOUTS = (
    Layout(data=8),
    Layout(tensor=2, data=4, sequence=True, recompute="selective"),
    Layout(tensor=2, pipeline=2, context=2, data=2, recompute="full"),
    Layout(tensor=2, pipeline=4, data=2, sequence=True, micro_batch=2),
)


def digest(values: Any) -> str:
    """A checksum of plain values."""
    return hashlib.sha256(json.dumps(values).encode()).hexdigest()[:16]


def measured(model: ModelConfig) -> dict[str, Any]:
    """Everything that follows from the shapes of ``model``'s matrices and norms."""
    values: dict[str, Any] = {
        "num_parameters": model.num_parameters(),
        "config": model.to_hf(),
        "matmul_parameters": matmul_parameters(model),
        "training_flops": training_flops(model, [100, 2000]),
        "flops_per_token": [flops_per_token(model, work) for work in WORK.values()],
        "products": {str(size): rank_products(model, size) for size in (1, 2)},
        "adapters": {name: [linear.groups, linear.shapes] for name, linear in model.geometry.linears.items()},
        "tensors": digest([_tensor(mapping, layer) for mapping, layer in parameters(model)]),
    }
    for (name, work), layout in itertools.product(WORK.items(), LAYOUTS):
        stages = [rank_memory(model, work, layout, stage) for stage in (0, layout.pipeline - 1)]
        values[f"{name}, {layout}"] = {
            "parameters": digest(
                [dataclasses.astuple(one) for one in chunk_parameters(model, work, layout, True, True)]
            ),
            "bytes": [dataclasses.astuple(memory) for memory in stages],
            "activations": layer_activations(model, work, layout, layout.recompute),
            "seconds": dataclasses.astuple(step_time(model, work, layout, GPUS["h100-80g"])),
        }
    return values


def _tensor(mapping, layer: int | None) -> list:
    return [mapping.megatron, hf_names(mapping, layer), mapping.blocks, mapping.split()]


@pytest.mark.parametrize("name", MODELS)
def test_what_is_computed_of_a_published_model_stays_as_it_is(name):
    found = json.loads(json.dumps(measured(ModelConfig.from_hf(ROOT / "examples/models" / name))))
    expected = json.loads(GOLDEN.read_text())[name]
    assert found.keys() == expected.keys()
    for key, value in found.items():
        if isinstance(value, dict) and "seconds" in value:
            assert value.pop("seconds") == pytest.approx(expected[key].pop("seconds"), rel=1e-12), key
        assert value == expected[key], key


def write() -> None:
    """Put the values of now on record, one on a line."""
    models = []
    for name in MODELS:
        values = measured(ModelConfig.from_hf(ROOT / "examples/models" / name))
        lines = ",\n".join(f"{json.dumps(key)}: {json.dumps(value)}" for key, value in values.items())
        models.append(f"{json.dumps(name)}: {{\n{lines}\n}}")
    GOLDEN.write_text("{\n" + ",\n".join(models) + "\n}\n", encoding="utf-8")


if __name__ == "__main__":
    write()
