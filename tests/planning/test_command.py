"""tools/plan.py: the ranked layouts, what is refused, what is written."""

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from megatron_rfft.planning.gpus import GPUS
from megatron_rfft.planning.layout import Layout, layout_from_config, with_layout, workload_from_config
from megatron_rfft.planning.paper_runs import paper_plans
from megatron_rfft.planning.search import plan_layout, search
from megatron_rfft.planning.sources import document_tokens
from megatron_rfft.training.config_reader import config_from_dict, load_config
from megatron_rfft.training.layout_check import check_layout
from tests.conftest import run_python

H100 = GPUS["h100-80g"]


def _raw(name: str, **sections) -> dict:
    return {
        "run": {"output": "unused", "steps": 700},
        "model": {"hf_config": f"examples/models/{name}/config.json"},
        "data": {"sequence_length": 4096},
        "batch": {"global_batch_size": 128},
        **sections,
    }


@pytest.fixture
def config_file(tmp_path) -> Path:
    path = tmp_path / "run.yaml"
    path.write_text(yaml.safe_dump(_raw("qwen2.5-32b")))
    return path


def _search(name: str, gpus: int, **sections):
    config = config_from_dict(_raw(name, **sections))
    model = config.model.resolve(0)
    return config, model, search(config, model, workload_from_config(config), gpus, H100)


def test_every_ranked_layout_is_one_that_the_trainer_takes():
    config, model, found = _search("qwen2.5-7b", 16)
    assert found.ranked == sorted(found.ranked, key=lambda plan: (round(plan.time.total, 4), plan.memory.total))
    for plan in found.ranked:
        assert plan.fits
        chosen = with_layout(config, plan.layout)
        check_layout(chosen, model, 16)
        assert layout_from_config(chosen, 16) == plan.layout
    assert any("TP8 PP1" in layouts for layouts in found.refused.values()), "28 heads can't be split in 8"


def test_what_does_not_fit_says_how_much_of_what_is_missing():
    _, _, found = _search("qwen2.5-32b", 4)
    assert not found.ranked
    for plan in found.too_large:
        assert plan.memory.total > 0.9 * H100.memory * 2**30
        assert plan.memory.largest in plan.reason()


def test_context_parallelism_is_tried_with_the_padding_that_it_needs():
    sections = {"data": {"sequence_length": 32776, "document_multiple": 3}, "batch": {"global_batch_size": 16}}
    config, model, found = _search("qwen2.5-32b", 64, **sections)
    assert {plan.layout.context for plan in found.ranked} == {1, 2, 4}
    for plan in found.ranked:
        chosen = with_layout(config, plan.layout)
        assert chosen.data.document_multiple == math.lcm(3, 2 * plan.layout.context if plan.layout.context > 1 else 1)
        check_layout(chosen, model, 64)
    assert any("data.sequence_length 32776 is not a multiple of" in reason for reason in found.refused), "CP8 needs 16"


def test_context_parallelism_on_gpus_does_not_split_heads():
    _, model, found = _search("qwen2.5-7b", 8)
    assert model.num_attention_heads == 28
    assert any(plan.layout.tensor * plan.layout.context == 8 for plan in found.ranked)


def test_recomputation_is_as_little_as_makes_a_layout_fit():
    sections = {"data": {"sequence_length": 25600}, "batch": {"global_batch_size": 24}}
    _, model, found = _search("qwen2.5-32b", 64, precision={"fp8": "tensorwise"}, **sections)
    some = [plan for plan in found.ranked if plan.layout.recompute_layers]
    assert some
    for plan in some:
        layout = plan.layout
        assert 0 < layout.recompute_layers < layout.chunk_layers(model)
        fewer = replace(layout, recompute_layers=layout.recompute_layers - 1)
        if not fewer.recompute_layers:
            fewer = replace(layout, recompute="none", recompute_layers=None)
        less = plan_layout(model, plan.work, fewer, H100)
        assert not less.fits
        assert less.time.total < plan.time.total


def test_a_plan_leaves_a_tenth_of_the_memory_free():
    _, _, found = _search("qwen2.5-32b", 64)
    assert max(plan.memory.total for plan in found.ranked) <= 0.9 * H100.memory * 2**30
    assert min(plan.memory.total for plan in found.too_large) > 0.9 * H100.memory * 2**30


def test_document_lengths_come_from_the_data(small_data):
    config = config_from_dict(_raw("qwen2.5-7b", data={"train": str(small_data.prefix), "sequence_length": 4096}))
    found = document_tokens(config, None, None)
    lengths = config.data.open(0).lengths.astype(float)
    assert found.weighted == pytest.approx((lengths**2).sum() / lengths.sum())
    assert found.mean == pytest.approx(lengths.mean())
    assert "data.train" in found.basis
    assert document_tokens(config, None, 77).mean == 77
    assert document_tokens(config, 9999, None).weighted == 4096
    assert document_tokens(config_from_dict(_raw("qwen2.5-7b")), None, None).weighted is None


def test_steps_of_documents_are_planned_by_their_tokens():
    sections = {"data": {"sequence_length": 3072, "packed": False}, "batch": {"global_batch_size": 32}}
    adapter = {"adapter": {"method": "pissa", "rank": 8}, "checkpoint": {"load": "unused"}}
    config = config_from_dict(_raw("qwen2.5-7b", **sections, **adapter))
    model = config.model.resolve(0)
    work = workload_from_config(config, 1000, 800)
    assert work.tokens_per_step == pytest.approx(32 * 800, rel=0.05)
    found = search(config, model, work, 1, H100)
    (plan,) = found.ranked
    layout = plan.layout
    assert 0.5 * layout.capacity(work) < layout.micro_batch_tokens(work) <= layout.capacity(work)
    assert layout.micro_batch_tokens(work) * layout.micro_batches(work) == pytest.approx(work.tokens_per_step)
    padded = replace(work, document_mean=None)
    assert plan_layout(model, padded, layout, H100).memory == plan.memory, "the longest micro-batch counts"
    assert plan_layout(model, padded, layout, H100).time.total > 3 * plan.time.total


def test_an_interleaved_pipeline_takes_documents_in_as_many_micro_batches_as_it_has_stages():
    sections = {"data": {"sequence_length": 4096, "packed": False}, "batch": {"global_batch_size": 32}}
    work = workload_from_config(config_from_dict(_raw("qwen2.5-7b", **sections)), 1000, 800)
    assert Layout(pipeline=4, virtual_pipeline=7, data=2).micro_batches(work) == 4
    assert Layout(pipeline=4, data=2).micro_batches(work) == 4
    assert Layout(pipeline=4, virtual_pipeline=7).micro_batches(work) == 8
    assert Layout(pipeline=4).micro_batches(work) == 7


def test_the_command_writes_the_config_that_it_recommends(config_file, tmp_path):
    written = tmp_path / "planned.yaml"
    done = run_python(
        "tools/plan.py", "--config", config_file, "--gpus", 64, "--json", "--write-config", written,
        "--precision.fp8", "tensorwise", "--data.sequence_length", 25600, "--batch.global_batch_size", 24,
    )  # fmt: skip
    values = json.loads(done.stdout)
    best = values["ranked"][0]
    planned = load_config(written)
    assert planned.parallel.tensor == best["layout"]["tensor"]
    assert planned.parallel.context == best["layout"]["context"] > 1
    assert planned.data.document_multiple == values["document_multiple"] == 2 * planned.parallel.context
    assert planned.precision.fp8 == "tensorwise"
    assert values["submit"] == f"sbatch --nodes 8 slurm/train.sbatch {written}"
    assert sum(rank["ranks"] for rank in values["ranks"]) == 64
    hours = values["step_seconds"] * 700 * 64 / 3600
    assert values["gpu_hours"] == pytest.approx(hours)
    assert sum(values["step_seconds_by_cause"].values()) == pytest.approx(values["step_seconds"])


def test_the_command_constructs_the_layout_asked_for(tmp_path):
    path = tmp_path / "run.yaml"
    raw = _raw("qwen2.5-0.5b", parallel={"tensor": 2, "pipeline": 2, "sequence": True})
    narrow = {"hidden_size": 64, "ffn_hidden_size": 128, "num_attention_heads": 4, "num_query_groups": 2}
    path.write_text(yaml.safe_dump(raw | {"model": narrow | {"num_layers": 4, "vocab_size": 512}}))
    done = run_python("tools/plan.py", "--config", path, "--gpus", 8, "--keep-layout", "--exact", "--json")
    values = json.loads(done.stdout)
    built = {one["rank"]: one for one in values["constructed"]}
    assert len(built) == len(values["ranks"])
    for kind in values["ranks"]:
        for item in ("parameters", "gradients", "optimizer"):
            assert built[kind["rank"]][item] == kind["memory"][item]


def test_tables_name_their_basis(config_file):
    done = run_python("tools/plan.py", "--config", config_file, "--gpus", 64)
    for words in ("fitted share", "exact, with padding", "assumed", "do not fit", "sbatch --nodes 8"):
        assert words in done.stdout
    calibration = run_python("tools/plan.py", "--calibration").stdout
    assert "held out" in calibration
    assert "14,451" in calibration


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--gpus", 12, "--keep-layout", "--parallel.tensor", 8), "not a multiple"),
        (("--gpus", 4), "no layout fits"),
        (("--gpus", 64, "--gpu", "a100-80g", "--precision.fp8", "tensorwise"), "has no FP8"),
    ],
)
def test_mistakes_are_one_line(config_file, options, message):
    done = run_python("tools/plan.py", "--config", config_file, *options, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    assert message in done.stderr


def test_packing_fp8_and_a_sound_layout_cut_the_papers_gpu_hours():
    """The measured documents of the rf-pretrain preset, 268 a step: twice what the paper's hours are a tenth of."""
    hours = {(run.name, plan.work.fp8): plan.gpu_hours for run, plan in paper_plans()}
    assert hours["Qwen2.5-32B", "tensorwise"] < 60 < 713.6 / 10
    assert hours["Qwen2.5-7B", "tensorwise"] < 144 / 10
    assert all(hours[name, "tensorwise"] < hours[name, "none"] for name, _ in hours)
