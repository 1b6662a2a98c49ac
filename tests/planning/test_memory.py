"""Formulas against a real construction of the same ranks by megatron-core, byte by byte."""

import dataclasses
import json

import pytest

from megatron_rfft.planning.layout import Layout, layout_from_config, workload_from_config
from megatron_rfft.planning.memory import (
    Buffer,
    Parameter,
    distinct_ranks,
    layer_activations,
    live_micro_batches,
    rank_memory,
)
from megatron_rfft.training.config_reader import config_from_dict
from tests.conftest import ROOT, run_python

MODELS = ROOT / "examples/models"
TINY = {
    "num_layers": 4,
    "hidden_size": 48,  # its norms are not a multiple of 64: padding between parameters
    "ffn_hidden_size": 80,
    "num_attention_heads": 4,
    "num_query_groups": 2,
    "vocab_size": 250,
}


def _run(model, *, length=4096, batch=128, **sections) -> dict:
    model = model if isinstance(model, dict) else {"hf_config": str(MODELS / model / "config.json")}
    return {
        "run": {"output": "unused"},
        "model": model,
        "data": {"sequence_length": length},
        "batch": {"global_batch_size": batch},
        **sections,
    }


def _context(run: dict) -> dict:
    run["data"]["document_multiple"] = 2 * run["parallel"]["context"]
    return run


def _parallel(tensor, pipeline, **more) -> dict:
    return {"tensor": tensor, "pipeline": pipeline, "sequence": tensor > 1, **more}


RECOMMENDED = "32B TP4 PP2 VPP8"  # what tools/plan.py puts first for FP8 on 64 H100s
# Name -> (config, GPUs). Every distinct rank of each is constructed.
RUNS = {
    "32B TP8 PP4 VPP2": (_run("qwen2.5-32b", parallel=_parallel(8, 4, virtual_pipeline=2)), 64),
    RECOMMENDED: (_run("qwen2.5-32b", parallel=_parallel(4, 2, virtual_pipeline=8)), 64),
    "7B TP4, no overlap": (_run("qwen2.5-7b", parallel=_parallel(4, 1, overlap=False)), 8),
    "0.5B tied embeddings on two stages": (_run("qwen2.5-0.5b", batch=24, parallel=_parallel(2, 2)), 12),
    "padding": (_run(TINY, length=64, batch=24, parallel=_parallel(2, 2)), 12),
    "padding, context": (_context(_run(TINY, length=64, batch=24, parallel=_parallel(2, 1, context=2))), 12),
    "padding, fp32": (_run(TINY, length=64, batch=24, precision={"dtype": "fp32"}), 3),
    "PiSSA": (
        _run(
            "qwen2.5-7b",
            parallel=_parallel(4, 1),
            adapter={"method": "pissa", "rank": 32},
            checkpoint={"load": "unused"},
        ),
        8,
    ),
    "Qwen3 4B": (_run("qwen3-4b", batch=24, parallel=_parallel(2, 2)), 12),
    "Qwen3 32B": (_run("qwen3-32b", parallel=_parallel(8, 4)), 64),
    "Qwen3 4B PiSSA": (
        _run("qwen3-4b", parallel=_parallel(2, 1), adapter={"method": "pissa"}, checkpoint={"load": "unused"}),
        8,
    ),
    "optimizer not distributed": (
        _run(TINY, length=64, batch=24, parallel=_parallel(1, 2), optimizer={"distributed": False}),
        4,
    ),
}
FORWARD = ("7B TP4, no overlap", "Qwen3 4B PiSSA")  # those whose activations are counted too
TRAINED = "tiny, trained"


def _plan(config: dict, gpus: int):
    parsed = config_from_dict(config)
    return parsed.model.resolve(0), workload_from_config(parsed), layout_from_config(parsed, gpus)


@pytest.fixture(scope="module")
def constructed(tmp_path_factory) -> dict[str, dict[int, dict]]:
    """Name of a run -> rank -> what was counted on it."""
    jobs = []
    for name, (config, gpus) in RUNS.items():
        ranks = [kind.rank for kind in distinct_ranks(*_plan(config, gpus))]
        jobs.append(
            {"name": name, "config": config, "world_size": gpus, "ranks": ranks, "steps": 0, "forward": name in FORWARD}
        )
    config, gpus = RUNS["padding"]
    jobs.append({"name": TRAINED, "config": config, "world_size": gpus, "ranks": [0, 11], "steps": 2, "forward": False})
    file = tmp_path_factory.mktemp("construct") / "jobs.json"
    file.write_text(json.dumps(jobs))
    run_python(ROOT / "tests/planning/construct_worker.py", file, timeout=900)
    results = json.loads(file.with_suffix(".results.json").read_text())
    return {result["name"]: {one["rank"]: one for one in result["ranks"]} for result in results}


@pytest.mark.parametrize("name", RUNS)
def test_state_bytes_equal_a_real_construction(constructed, name):
    config, gpus = RUNS[name]
    kinds = distinct_ranks(*_plan(config, gpus))
    assert sum(kind.ranks for kind in kinds) == gpus
    for kind in kinds:
        real, memory = constructed[name][kind.rank], kind.memory
        assert (memory.parameters, memory.gradients, memory.optimizer) == (
            real["parameters"],
            real["gradients"],
            real["optimizer"],
        ), f"rank {kind.rank}"


@pytest.mark.parametrize("name", FORWARD)
def test_activations_stay_below_the_unfused_layers_and_above_half_of_them(constructed, name):
    config, gpus = RUNS[name]
    model, work, layout = _plan(config, gpus)
    formula = layer_activations(model, work, layout) * model.num_layers / layout.pipeline
    bound = constructed[name][0]["activations"]
    assert bound / 2 < formula < bound


def test_a_constructed_rank_trains_under_the_pipeline_schedule(constructed):
    counted = constructed["padding"]
    for rank, trained in constructed[TRAINED].items():
        states = ("parameters", "gradients", "optimizer")
        same = next(one for other, one in counted.items() if other // 6 == rank // 6)
        assert [trained[key] for key in states[:2]] == [same[key] for key in states[:2]]


def test_shards_of_a_buffer_hold_each_parameter_once():
    parameters = [Parameter("a", 100), Parameter("b", 7), Parameter("c", 900, shared=True), Parameter("d", 64)]
    for shards in (1, 3, 8):
        buffer = Buffer.lay_out(parameters, shards, bucket_size=150, padded=True)
        assert sum(buffer.shard_elements(shard, shards) for shard in range(shards)) == 100 + 7 + 900 + 64
        assert all((bucket.end - bucket.start) % shards == 0 for bucket in buffer.buckets)


def test_live_micro_batches_follow_the_schedules():
    plain = Layout(pipeline=4)
    assert [live_micro_batches(plain, stage, 16) for stage in range(4)] == [4, 3, 2, 1]
    assert live_micro_batches(plain, 0, 2) == 2
    interleaved = Layout(pipeline=4, virtual_pipeline=2)
    # Each holds half of a stage's layers; megatron-core's warm-up is 2 (P - p - 1) + (V - 1) P chunks.
    assert [live_micro_batches(interleaved, stage, 16) for stage in range(4)] == [11, 9, 7, 5]


def test_recomputation_and_sequence_parallelism_save_activations():
    model, work, layout = _plan(*RUNS[RECOMMENDED])
    whole = rank_memory(model, work, layout, 0).activations

    def activations(**changed) -> int:
        return rank_memory(model, work, dataclasses.replace(layout, **changed), 0).activations

    assert whole / 2 > activations(recompute="selective") > whole / 5
    assert activations(recompute="full") < whole / 10
    assert activations(sequence=False) > 1.5 * whole


def test_adapters_alone_have_gradients_and_optimizer_states():
    model, work, layout = _plan(*RUNS[RECOMMENDED])
    full = rank_memory(model, work, layout, 0)
    adapted = rank_memory(model, dataclasses.replace(work, adapter_rank=32), layout, 0)
    assert adapted.gradients < full.gradients / 50
    assert full.parameters < adapted.parameters < 1.02 * full.parameters
