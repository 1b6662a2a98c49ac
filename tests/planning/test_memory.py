"""Formulas against a real construction of the same ranks by megatron-core, byte by byte."""

import dataclasses
import itertools
import json

import pytest

from megatron_rfft.models.fp8 import RECIPES
from megatron_rfft.models.published import PUBLISHED
from megatron_rfft.planning.gpus import GIB
from megatron_rfft.planning.layout import Layout, Workload, layout_from_config, workload_from_config
from megatron_rfft.planning.memory import (
    Buffer,
    Parameter,
    distinct_ranks,
    fp8_layers,
    layer_activations,
    live_micro_batches,
    rank_memory,
)
from megatron_rfft.training.config_reader import config_from_dict
from tests.conftest import ROOT, run_python

MODELS = ROOT / "examples/models"
QWEN25_32B = PUBLISHED["qwen2.5-32b"]
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


RECOMMENDED = "32B TP4 PP4 VPP8 CP2"  # what rfft plan puts first for FP8 on 64 H100s
UNSPLIT = "padding, context, four heads on six ranks"
# Name -> (config, GPUs). Every distinct rank of each is constructed.
RUNS = {
    "32B TP8 PP4 VPP2": (_run("qwen2.5-32b", parallel=_parallel(8, 4, virtual_pipeline=2)), 64),
    RECOMMENDED: (_context(_run("qwen2.5-32b", parallel=_parallel(4, 4, virtual_pipeline=8, context=2))), 64),
    "7B TP4, no overlap": (_run("qwen2.5-7b", parallel=_parallel(4, 1, overlap=False)), 8),
    "0.5B tied embeddings on two stages": (_run("qwen2.5-0.5b", batch=24, parallel=_parallel(2, 2)), 12),
    "padding": (_run(TINY, length=64, batch=24, parallel=_parallel(2, 2)), 12),
    "padding, context": (_context(_run(TINY, length=64, batch=24, parallel=_parallel(2, 1, context=2))), 12),
    UNSPLIT: (_context(_run(TINY, length=96, batch=24, parallel=_parallel(2, 1, context=3))), 12),
    "padding, bf16 gradients": (
        _run(TINY, length=64, batch=24, parallel=_parallel(2, 1), optimizer={"gradients": "bf16"}),
        6,
    ),
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
    "Llama 3.2 3B": (_run("llama-3.2-3b", batch=24, parallel=_parallel(2, 2)), 12),
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
FORWARD = ("7B TP4, no overlap", "Qwen3 4B PiSSA", UNSPLIT)
"""Those whose activations are counted too, where they can be."""
RECOMPUTED = {
    (kind, layers): _run(
        TINY, length=64, batch=4, memory={} if kind == "none" else {"recompute": kind, "recompute_layers": layers}
    )
    for kind, layers in [("none", None), *itertools.product(("selective", "full"), (1, 3, 4, None))]
}
"""Ways to recompute a small model; they are constructed, too."""
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
    for kind, config in RECOMPUTED.items():
        jobs.append({"name": str(kind), "config": config, "world_size": 1, "ranks": [0], "steps": 0, "forward": True})
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


@pytest.mark.parametrize("name", FORWARD[:2])
def test_activations_stay_below_the_unfused_layers_and_above_half_of_them(constructed, name):
    config, gpus = RUNS[name]
    model, work, layout = _plan(config, gpus)
    formula = layer_activations(model, work, layout) * model.num_layers / layout.pipeline
    bound = constructed[name][0]["activations"]
    assert bound / 2 < formula < bound


def test_a_layout_that_only_transformer_engine_can_run_is_counted_without_activations(constructed):
    assert constructed[UNSPLIT][0]["activations"] is None


@pytest.mark.parametrize("kind", ["selective", "full"])
def test_each_recomputed_layer_saves_the_same(constructed, kind):
    kept = {layers: constructed[str((kind, layers))][0]["activations"] for layers in (1, 3, 4, None)}
    whole = constructed[str(("none", None))][0]["activations"]
    assert kept[None] == kept[4] < kept[3] < kept[1] < whole
    of_a_layer = (kept[1] - kept[3]) / 2
    # Layers share what they rotate by: angles come with the first one recomputed, cosines and sines go with the last.
    assert [whole - kept[1], kept[3] - kept[4]] == pytest.approx([of_a_layer] * 2, rel=0.05)


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
    some = activations(recompute="selective", recompute_layers=1)
    assert whole - some == pytest.approx(
        (whole - activations(recompute="selective")) / layout.chunk_layers(model), rel=1e-6
    )
    assert activations(recompute="full") < whole / 10
    assert activations(sequence=False) > 1.5 * whole


def test_adapters_alone_have_gradients_and_optimizer_states():
    model, work, layout = _plan(*RUNS[RECOMMENDED])
    full = rank_memory(model, work, layout, 0)
    adapted = rank_memory(model, dataclasses.replace(work, adapter_rank=32), layout, 0)
    assert adapted.gradients < full.gradients / 50
    assert full.parameters < adapted.parameters < 1.02 * full.parameters


FP8_WEIGHTS = {  # GiB of both copies of what is split over 8 or 4 ranks, the first and the last layer left in BF16
    "32B TP8": (Layout(tensor=8, data=8, sequence=True), 0, 7.04),
    "32B PiSSA TP4": (Layout(tensor=4, data=8, sequence=True), 32, 14.08),
}


@pytest.mark.parametrize("name", FP8_WEIGHTS)
def test_fp8_keeps_two_bytes_of_each_weight_frozen_or_not(name):
    layout, adapter_rank, expected = FP8_WEIGHTS[name]
    work = Workload(sequence_length=4096, global_batch_size=64, steps=1, adapter_rank=adapter_rank)
    bf16 = rank_memory(QWEN25_32B, work, layout, 0)
    for recipe in RECIPES:
        fp8 = rank_memory(QWEN25_32B, dataclasses.replace(work, fp8=recipe), layout, 0)
        assert bf16.fp8_weights == 0
        assert fp8.fp8_weights / GIB == pytest.approx(expected, abs=0.005)
        assert (fp8.parameters, fp8.gradients, fp8.optimizer) == (bf16.parameters, bf16.gradients, bf16.optimizer)


def test_layers_in_bf16_are_at_the_ends_of_the_pipeline():
    work = Workload(sequence_length=4096, global_batch_size=64, steps=1, fp8="tensorwise")

    def layers(pipeline: int) -> list[int]:
        return [fp8_layers(QWEN25_32B, work, Layout(pipeline=pipeline), stage) for stage in range(pipeline)]

    assert (layers(1), layers(2), layers(4)) == ([62], [31, 31], [15, 16, 16, 15])
    work = dataclasses.replace(work, fp8_first_last_bf16=False)
    assert layers(4) == [16] * 4


def test_in_fp8_a_trained_matrix_keeps_a_byte_less_of_its_input_and_an_adapted_one_does_not():
    layout = Layout(tensor=8, sequence=True)
    work = Workload(sequence_length=4096, global_batch_size=64, steps=1, fp8="tensorwise")

    def saved(**changed) -> float:
        """Bytes less than in BF16, for each token that lies on the rank."""
        mine = dataclasses.replace(work, **changed)
        plain = layer_activations(QWEN25_32B, dataclasses.replace(mine, fp8="none"), layout)
        return (plain - layer_activations(QWEN25_32B, mine, layout)) / (4096 / 8)

    # Inputs of Q, K and V, of the gate, and of the way back. The projection's is the attention's output, in BF16.
    assert saved() == 5120 + 5120 + 27648
    assert 0.96 * saved() < saved(fp8="blockwise") < saved(), "scales take room"
    # What an adapter reads is in BF16; beside it, a matrix fused with a norm keeps the norm's output in FP8.
    assert saved(adapter_rank=8) == -5120 - 5120


def test_the_plan_agrees_with_what_was_measured_on_one_h100():
    """tools/benchmarks/gpu.json: rank 0 of 64 of Qwen2.5-32B, and a slice of four of its layers, in BF16."""
    checks = json.loads((ROOT / "tools/benchmarks/gpu.json").read_text())["checks"]
    work = Workload(sequence_length=4096, global_batch_size=32, steps=2)
    planned = rank_memory(QWEN25_32B, work, Layout(tensor=8, data=8, sequence=True), 0)
    counted = checks["memory-32b-tp8"]["result"]["counted"]
    assert (planned.parameters, planned.gradients, planned.optimizer) == tuple(
        counted[name] for name in ("parameters", "gradients", "optimizer")
    )
    assert planned.total - planned.overhead == pytest.approx(counted["peak"], rel=0.05)
    assert planned.total > counted["reserved"]
    speed = checks["speed-32b-bf16"]["result"]
    cut = dataclasses.replace(QWEN25_32B, num_layers=speed["layers"], vocab_size=speed["vocab_size"])
    slice_planned = rank_memory(cut, dataclasses.replace(work, global_batch_size=8), Layout(), 0)
    assert (slice_planned.total - slice_planned.overhead) / GIB == pytest.approx(speed["peak_memory_gib"], rel=0.05)


def test_one_byte_inputs_fused_losses_and_user_buffers_are_counted():
    """On the last stage of 32B: half of what the gate reads, the softmax in fp32, ten buffers of hidden states."""
    model, work, layout = _plan(*RUNS["32B TP8 PP4 VPP2"])
    plain = layer_activations(model, work, layout)
    kept = layer_activations(model, dataclasses.replace(work, fp8_activation_input=True), layout)
    assert plain - kept == 4096 * 2 * model.ffn_hidden_size / 8
    last = layout.pipeline - 1
    whole = rank_memory(model, work, layout, last)
    fused = rank_memory(model, dataclasses.replace(work, te_cross_entropy=True), layout, last)
    assert whole.logits - fused.logits == 4096 * model.padded_vocab_size / 8 * 4
    buffers = rank_memory(model, dataclasses.replace(work, tensor_overlap=True), layout, last)
    assert buffers.workspace - whole.workspace == 10 * 4096 * model.hidden_size * 2
