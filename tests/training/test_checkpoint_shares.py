"""Four processes: each saves its share, and a run goes on with the very state that was saved."""

import json
import re

import pytest

from megatron_rfft.models.config import ModelConfig
from megatron_rfft.planning.checkpoints import plan_checkpoints
from megatron_rfft.planning.gpus import GPUS
from megatron_rfft.planning.layout import layout_from_config, workload_from_config
from megatron_rfft.training.checkpoint_files import STATE, checkpoint_name, verified_manifest
from megatron_rfft.training.config_reader import config_from_dict
from tests.conftest import ROOT, torchrun
from tests.training.conftest import CHECKPOINT

RANKS = 4
LAYOUTS = {
    "DP4, bf16": ["--precision.dtype", "bf16"],
    "DP4, whole optimizer": ["--optimizer.distributed", "false"],
    "PP2 x DP2": ["--parallel.pipeline", "2"],
}


@pytest.fixture(scope="module")
def folders(config_file, tmp_path_factory):
    """Run folders by layout."""
    root = tmp_path_factory.mktemp("shares")
    batch = "--batch.global_batch_size=8"
    wider = [batch, "--model.hidden_size=64", "--model.ffn_hidden_size=192", f"--checkpoint.interval={CHECKPOINT}"]
    jobs = [
        {"name": name, "config": str(config_file), "overrides": [*wider, *overrides, "--run.output", str(root / name)]}
        for name, overrides in LAYOUTS.items()
    ]
    often = [batch, "--checkpoint.interval=99", "--checkpoint.minutes=1e-9", "--run.output", str(root / "often")]
    jobs.append({"name": "often", "config": str(config_file), "overrides": often, "clock": "first rank"})
    file = root / "jobs.json"
    file.write_text(json.dumps(jobs))
    torchrun(RANKS, ROOT / "tests/training/state_worker.py", file)
    return root


@pytest.fixture(scope="module")
def results(folders) -> dict[str, list[dict]]:
    return json.loads((folders / "jobs.results.json").read_text())


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_resumed_run_begins_with_the_state_that_was_saved(results, layout):
    """Weights, main weights, moments, schedule, random states, data: on every rank, before the first step."""
    for rank in results[layout]:
        (saved,), (resumed,) = rank["saved"], rank["resumed"]
        assert len(saved) == 9
        assert resumed == saved


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_rank_writes_about_as_much_and_copies_no_more_than_that(folders, results, layout):
    manifest = verified_manifest(folders / layout / "checkpoints" / checkpoint_name(CHECKPOINT))
    written = [0] * RANKS
    for name, entry in manifest["files"].items():
        if found := re.fullmatch(rf"{STATE}/(?:optimizer)?__(\d+)_\d+\.distcp", name):
            written[int(found[1])] += entry["bytes"]
    assert min(written) > 0.7 * sum(written) / RANKS
    assert max(written) < 1.3 * sum(written) / RANKS
    for size, rank in zip(written, results[layout], strict=True):
        assert 0.8 * size < rank["host_bytes"] < size


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_plan_knows_what_the_fullest_rank_copies(folders, results, layout):
    manifest = verified_manifest(folders / layout / "checkpoints" / checkpoint_name(CHECKPOINT))
    config, model = config_from_dict(manifest["config"]), ModelConfig(**manifest["model"])
    plan = plan_checkpoints(
        model, workload_from_config(config), layout_from_config(config, RANKS), GPUS["h100-80g"], step_seconds=1.0
    )
    copies = [rank["host_bytes"] for rank in results[layout]]
    assert sum(copies) == pytest.approx(plan.bytes, rel=0.001)
    assert max(copies) == pytest.approx(plan.rank_bytes, rel=0.1)


def test_the_distributed_optimizer_is_written_where_it_is_held(folders):
    """Its shares differ by padding and what describes the boxes alone; weights lie in other files."""
    files = verified_manifest(folders / "DP4, bf16" / "checkpoints" / checkpoint_name(CHECKPOINT))["files"]
    sizes = [entry["bytes"] for name, entry in files.items() if name.startswith(f"{STATE}/optimizer")]
    assert len(sizes) == RANKS
    assert max(sizes) < 1.1 * min(sizes)


def test_minutes_are_those_of_the_first_rank(folders):
    """The other ranks' clocks stand still: they save all the same, and so does the run that goes on for a step."""
    kept = sorted(path.name for path in (folders / "often" / "checkpoints").glob("step-*"))
    assert kept == [checkpoint_name(step) for step in range(1, CHECKPOINT + 3)]
