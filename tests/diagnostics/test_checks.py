"""tools/bench_gpu.py on a CPU with toy shapes, so that its code can't rot; its arithmetic; its record."""

import json
from functools import partial

import numpy as np
import pytest
import torch

from megatron_rfft.common.gpus import bf16_peak
from megatron_rfft.data.random_sequences import RandomSequences
from megatron_rfft.diagnostics.checks.catalogue import catalogue, sections, summarize
from megatron_rfft.diagnostics.checks.kernels import fp8_products
from megatron_rfft.diagnostics.checks.numerics import error_bounds
from megatron_rfft.diagnostics.checks.settings import PRECISIONS, QWEN, Settings
from megatron_rfft.diagnostics.checks.speed import rank_products
from megatron_rfft.models.flops import matmul_parameters
from tests.conftest import run_python

BENCH = ("tools/bench_gpu.py", "--device", "cpu", "--tiny")
FP8 = PRECISIONS[1:]


@pytest.fixture(scope="module")
def record(tmp_path_factory) -> dict:
    """The record of every check on this CPU; of the memory of a rank, one layout is enough."""
    path = tmp_path_factory.mktemp("bench") / "gpu.json"
    wanted = [*(name for name in sections() if name != "memory"), "memory-32b-tp8"]
    done = run_python(*BENCH, "--output", path, "--sections", ",".join(wanted))
    assert json.loads(done.stdout) == json.loads(path.read_text())
    return json.loads(path.read_text())


def test_every_check_has_a_result_and_none_failed(record):
    assert set(record["checks"]) == set(catalogue()) - {"memory-32b-tp4-pp4", "memory-32b-tp2-pp8"}
    assert {name: row for name, row in record["checks"].items() if row["status"] not in ("ok", "refused")} == {}


def test_fp8_is_refused_without_a_gpu_with_the_reason_and_nothing_else_is(record):
    refused = {name for name, row in record["checks"].items() if row["status"] == "refused"}
    assert refused == {name for name in catalogue() if name.endswith(FP8)}
    assert all(record["checks"][name]["reason"] for name in refused)


def test_what_a_cpu_can_answer_is_right(record):
    results = {name: row["result"] for name, row in record["checks"].items() if row["status"] == "ok"}
    assert results["golden"]["within"]
    assert results["linear-bf16"]["within"]
    assert results["step-bf16"]["loss_relative_difference"] < 1e-3
    assert results["kernels-bf16"]["as_expected"]
    assert results["resume-bf16"]["bit_equal"]
    assert all(result["states_equal"] for name, result in results.items() if name.startswith("memory"))
    assert results["generation"]["equal_answers"] == results["generation"]["answers"]
    assert results["generation"]["fixed"]["kept_to_it"]
    assert results["losses-bf16"]["losses"][-1] < results["losses-bf16"]["losses"][0]
    assert results["speed-7b-bf16"]["mfu"] is None
    assert results["long-32b-bf16"]["sequence_length"] == 8 * results["speed-32b-bf16"]["sequence_length"]
    of_flops = {"tflops", "peak_bf16_tflops", "mfu"}
    assert results["adapters-32b-bf16"].keys() == results["speed-32b-bf16"].keys() - of_flops
    assert results["small-100m-bf16"]["tokens_per_second"] > 0
    assert record["summary"]["goals"]["mfu"] is None
    assert record["summary"]["goals"]["resume"] is True


def test_an_interrupted_record_is_continued(record, tmp_path):
    path = tmp_path / "gpu.json"
    checks = {**record["checks"], "linear-bf16": {"status": "running"}}  # as a machine that is taken away leaves it
    path.write_text(json.dumps({**record, "checks": checks}))
    words = (*BENCH, "--output", path, "--sections", "linear-bf16,products-7b")
    run_python(*words)
    after = json.loads(path.read_text())["checks"]
    assert after["linear-bf16"]["status"] == "ok"
    assert {**after, "linear-bf16": None} == {**record["checks"], "linear-bf16": None}
    other = run_python(*words, "--steps", 7, check=False)
    assert (other.returncode, "loss_steps" in other.stderr) == (2, True)


def test_a_check_that_takes_too_long_is_noted_and_the_next_one_runs(tmp_path):
    path = tmp_path / "gpu.json"
    words = ("--sections", "linear-bf16,linear-blockwise", "--check-limit", 0.2)
    done = run_python(*BENCH, "--output", path, *words, check=False)
    assert done.returncode == 1
    rows = json.loads(path.read_text())["checks"]
    assert set(rows) == {"linear-bf16", "linear-blockwise"}
    assert {row["status"] for row in rows.values()} == {"failed"}
    assert rows["linear-bf16"]["error"] == "it took longer than its time"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--device", "cpu"), "add --tiny"),
        ((*BENCH[1:], "--sections", "speed,colour"), "'colour'"),
        ((), "torch sees no GPU here"),
    ],
)
def test_wrong_input_is_named(tmp_path, words, message):
    done = run_python(BENCH[0], "--output", tmp_path / "gpu.json", *words, check=False)
    assert done.returncode == 2
    assert message in done.stderr


def test_fp8_products_are_known_by_their_names():
    names = {
        "sm90_xmma_gemm_e4m3bf16_e4m3f32_f32_tn_n_tilesize128x128x128_warpgroupsize1x1x1_bias_execute_kernel": True,
        "nvjet_qqtst_128x256_128x6_1x2_h_bz_TNT": True,
        "nvjet_tst_256x128_64x4_2x1_v_bz_coopA_TNT": False,
        "nvjet_sm90_qrtst_96x128_128x7_2x1_v_bz_coopA_algo2_TNN": True,
        "nvjet_sm90_qqtst_64x128_128x8_4x2_h_bz_algo2_Avec128_Bvec128_TNT": True,
        "nvjet_sm90_tst_192x128_64x5_1x2_h_bz_coopB_TNT": False,
        "sm90_xmma_gemm_bf16bf16_bf16f32_f32_tn_n_tilesize128x128x64_execute_segment_k_off_kernel": False,
        "void transformer_engine::cast_transpose_kernel<__nv_bfloat16, __nv_fp8_e4m3>": False,
        "aten::mm": False,
    }
    assert fp8_products(list(names)) == [name for name, expected in names.items() if expected]


def test_a_slice_has_as_much_of_the_vocabulary_as_of_the_layers(tmp_path):
    """So that the head's part of the FLOPs, and with it what FP8 can gain, is that of the whole model."""
    for shape, full in QWEN.items():
        part = Settings(tmp_path).shape(shape)
        head = [model.vocab_size * model.hidden_size / matmul_parameters(model) for model in (full, part)]
        assert head[0] == pytest.approx(head[1], rel=0.01)
        assert full.num_layers % part.num_layers == 0


def test_a_ranks_products_multiply_all_of_its_layer():
    for model in QWEN.values():
        whole = sum(inputs * outputs for inputs, outputs in rank_products(model, 1).values())
        for size in (2, 4):
            assert size * sum(i * o for i, o in rank_products(model, size).values()) == whole
    assert rank_products(QWEN["32b"], 8)["linear_qkv"] == (5120, 896)
    assert rank_products(QWEN["32b"], 8)["linear_fc1"] == (5120, 6912)


def test_peaks_are_those_of_the_device():
    assert bf16_peak("NVIDIA H100 80GB HBM3") == 989.4
    assert bf16_peak("NVIDIA H100 PCIe") == 756.0
    assert bf16_peak("AMD Instinct") is None


@pytest.mark.parametrize("precision", FP8)
def test_the_bounds_of_an_fp8_layer_are_a_tenth_above_what_rounding_its_factors_gives(precision):
    generator = torch.Generator().manual_seed(1)
    x, weight, gradient = (torch.randn(shape, generator=generator) for shape in ((512, 256), (384, 256), (512, 384)))
    e4m3, e5m2 = (partial(rounded, dtype=dtype) for dtype in (torch.float8_e4m3fn, torch.float8_e5m2))
    of_gradient = e4m3 if precision == "blockwise" else e5m2
    found = {
        "output": (e4m3(x) @ e4m3(weight).t(), x @ weight.t()),
        "input_gradient": (of_gradient(gradient) @ e4m3(weight), gradient @ weight),
        "weight_gradient": (of_gradient(gradient).t() @ e4m3(x), gradient.t() @ x),
    }
    for name, (product, exact) in found.items():
        assert float((product - exact).norm() / exact.norm()) == pytest.approx(
            error_bounds(precision)[name] / 1.1, rel=0.05
        )


def rounded(x: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """``x`` in an FP8 format, scaled to its range, and back."""
    scale = torch.finfo(dtype).max / x.abs().max()
    return (x * scale).to(dtype).float() / scale


def test_the_summary_judges_by_the_goals():
    def done(**result):
        return {"status": "ok", "result": result}

    rows = {
        "speed-32b-bf16": done(tokens_per_second=100.0, mfu=0.51),
        "speed-32b-tensorwise": done(tokens_per_second=140.0, mfu=0.7),
        "speed-7b-tensorwise": {"status": "failed", "error": "x"},
        "losses-bf16": done(steps=2, losses=[2.0, 1.0], tail_loss=1.0),
        "losses-blockwise": done(steps=2, losses=[2.0, 1.1], tail_loss=1.1),
        "resume-bf16": done(bit_equal=True),
        "resume-tensorwise": done(bit_equal=False),
    }
    summary = summarize(rows)
    assert summary["speedups_over_bf16"] == {"32b-tensorwise": 1.4}
    assert summary["loss_gaps"] == {"blockwise": {"tail_relative": 0.1, "mean_absolute": 0.05}}
    assert summary["goals"] == {
        "mfu": True,
        "fp8_speedup": True,
        "numerics": None,
        "kernels": None,
        "resume": False,
        "memory": None,
    }


def test_random_sequences_are_batches_of_the_datasets_kind():
    dataset = RandomSequences(128, 50, 48)
    batch = dataset.batch([3, 4])
    assert batch.cu_seqlens.tolist() == [0, 48, 96, 128, 176, 224, 256]
    assert batch.max_seqlen == 48
    assert batch.position_ids[[0, 47, 48, 127, 128]].tolist() == [0, 47, 0, 31, 0]
    assert np.array_equal(batch.tokens[128:], dataset.batch([4]).tokens)
    inside = batch.loss_mask > 0
    assert np.array_equal(batch.labels[:-1][inside[:-1]], batch.tokens[1:][inside[:-1]])
    assert not inside[[47, 95, 127, 255]].any()


def test_sections_are_the_first_words():
    assert sections() == [
        *("golden", "linear", "step", "kernels", "speed", "long", "adapters", "memory", "losses", "small"),
        *("generation", "products", "resume"),
    ]


def test_a_layout_that_is_taken_down_keeps_nothing_of_its_model(tmp_path):
    """Or the checks' models, and those of a process that runs several layouts, would pile up on the GPU."""
    code = f"""
import gc, pathlib, weakref
import megatron_rfft.mcore
from megatron_rfft.diagnostics.checks.settings import Settings, random_batches, run_config, trainer_of
settings = Settings(pathlib.Path({str(tmp_path)!r}), tiny=True)
data = random_batches(settings)
sections = dict(data={{"sequence_length": data.sequence_length}}, batch={{"global_batch_size": 2}})
config = run_config(settings, {{**settings.small, "vocab_size": 512}}, "bf16", name="x", steps=1, **sections)
with trainer_of(config, data) as trainer:
    trainer.train_step()
    parts = (trainer, trainer.stages[0], trainer.optimizer, trainer.model[0].buffers[0].grad_data)
    parts = [weakref.ref(part) for part in parts]
del trainer
gc.collect()
print([part() is None for part in parts])
"""
    assert run_python("-c", code).stdout.split("\n")[-2] == "[True, True, True, True]"
