"""The checks of tools/bench_gpu.py as tests: what has a right answer, in real sizes, on the first GPU."""

from pathlib import Path

import pytest
import torch

from megatron_rfft.diagnostics.checks.catalogue import catalogue, summarize
from megatron_rfft.diagnostics.checks.settings import PRECISIONS, Refused, Settings

FP8 = PRECISIONS[1:]


@pytest.fixture(scope="module")
def work(tmp_path_factory) -> Path:
    """Where the rule traces are made once."""
    return tmp_path_factory.mktemp("work")


def check(name: str, work: Path, **settings) -> dict:
    """The result of a check; the test is skipped with the reason where the machine refuses it."""
    try:
        return catalogue()[name](Settings(work=work, **settings))
    except Refused as error:
        pytest.skip(str(error))


def test_fp32_losses_are_those_of_a_cpu(work):
    assert check("golden", work)["within"]


@pytest.mark.parametrize("precision", PRECISIONS)
def test_a_layers_error_is_within_its_bound(work, precision):
    result = check(f"linear-{precision}", work)
    assert result["within"], result


def test_memory_of_a_checkpoints_copy_is_pinned_and_given_back():
    from megatron_rfft.mcore.pinned import pinned

    memory = torch.empty(3 << 20, dtype=torch.uint8)
    for _ in range(2):  # what is locked already is refused
        view = pinned(memory[:])
        assert view.is_pinned()
        del view
    assert not memory.is_pinned()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_weight_gradients_are_added_to_the_fp32_buffer_in_place(dtype):
    from megatron_rfft.mcore.weight_gradients import wgrad_gemm_accum_fp32

    shapes = ((4096, 512), (4096, 256), (256, 512))
    generator = torch.Generator("cuda").manual_seed(0)
    x, dy, buffer = (torch.randn(shape, generator=generator, device="cuda") for shape in shapes)
    x, dy = x.to(dtype), dy.to(dtype)
    expected = buffer.double() + dy.double().t() @ x.double()
    address = buffer.data_ptr()
    wgrad_gemm_accum_fp32(x, dy, buffer)
    assert buffer.data_ptr() == address
    # Sums of 4,096 products of BF16 numbers are exact but for FP32's rounding; of FP32 ones torch may use TF32.
    torch.testing.assert_close(buffer.double(), expected, rtol=1e-3, atol=1e-2 if dtype == torch.bfloat16 else 0.5)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_a_models_first_step_is_near_that_of_fp32(work, precision):
    result = check(f"step-{precision}", work)
    assert result["loss_relative_difference"] < 0.01, result
    assert result["gradient_norm_relative_difference"] < 0.1, result


@pytest.mark.parametrize("precision", PRECISIONS)
def test_fp8_products_run_where_they_are_asked_for_and_nowhere_else(work, precision):
    result = check(f"kernels-{precision}", work)
    assert result["as_expected"], result


@pytest.mark.parametrize("precision", PRECISIONS)
def test_a_resumed_run_equals_a_whole_one_to_the_last_bit(work, precision):
    result = check(f"resume-{precision}", work)
    assert result["bit_equal"], result


@pytest.mark.parametrize("layout", ["tp8", "tp4-pp4", *(f"tp8-{precision}" for precision in FP8)])
def test_the_peak_memory_of_a_rank_of_64_is_the_planned_one(work, layout):
    result = check(f"memory-32b-{layout}", work)
    assert result["within"], result


@pytest.mark.slow
@pytest.mark.parametrize("precision", FP8)
def test_fp8_learns_like_bf16(work, precision):
    runs = {name: check(f"losses-{name}", work) for name in ("bf16", precision)}
    gaps = summarize({f"losses-{name}": {"status": "ok", "result": run} for name, run in runs.items()})["loss_gaps"]
    assert abs(gaps[precision]["tail_relative"]) < 0.02, gaps
