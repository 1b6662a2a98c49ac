"""What checkpoints will take: bytes and seconds of the recipes, and whether a signal is enough for the last one."""

import json

import pytest

from megatron_rfft.models.config import ModelConfig
from megatron_rfft.planning.checkpoints import NOTICE, plan_checkpoints
from megatron_rfft.planning.gpus import GPUS
from megatron_rfft.planning.layout import Layout, Workload
from tests.conftest import ROOT, run_python

H100 = GPUS["h100-80g"]
WORK = Workload(sequence_length=4096, global_batch_size=128, steps=700)


def model(name: str) -> ModelConfig:
    return ModelConfig.from_hf(ROOT / "examples/models" / name)


def test_a_signal_is_enough_for_the_last_checkpoint_of_32b():
    """459 GB at 3 GB/s, from 64 ranks that write as much each; the memory is that of one share a rank."""
    qwen = model("qwen2.5-32b")
    found = plan_checkpoints(qwen, WORK, Layout(tensor=8, data=8), H100, step_seconds=4.1)
    assert found.bytes == 14 * qwen.num_parameters()
    assert found.rank_bytes == pytest.approx(found.bytes / 64, rel=0.01)
    assert found.node_bytes == 8 * found.rank_bytes < 60e9
    assert found.save_seconds == pytest.approx(153, abs=1)
    assert 153 < found.signal_seconds < 160
    assert found.fits_notice
    assert NOTICE == 300
    assert "#SBATCH --signal=B:USR1@300" in (ROOT / "slurm/train.sbatch").read_text()
    assert not plan_checkpoints(qwen, WORK, Layout(tensor=8, data=8), H100, 4.1, file_system=1.5).fits_notice


@pytest.mark.parametrize(
    ("layout", "work"),
    [
        (Layout(tensor=4, pipeline=2, data=2), WORK),
        (Layout(tensor=4, pipeline=2, data=2), Workload(**{**vars(WORK), "distributed_optimizer": False})),
        (Layout(data=16), Workload(**{**vars(WORK), "dtype": "fp32"})),
        (Layout(data=8), Workload(**{**vars(WORK), "adapter_rank": 8, "adapter_start": True})),
    ],
)
def test_shares_add_up(layout, work):
    """To within what the fullest stage has more than the others (the embedding)."""
    found = plan_checkpoints(model("qwen2.5-7b"), work, layout, H100, step_seconds=1.0)
    assert found.bytes <= found.rank_bytes * layout.gpus * 1.001
    assert found.rank_bytes * layout.gpus < found.bytes * 1.2


def test_the_command_tells_them(tmp_path):
    command = ("-m", "megatron_rfft", "plan", "--config", "examples/qwen2.5-32b/rf-pretrain.yaml", "--gpus", 64)
    command += ("--keep-layout", "--document-tokens", 4316, "--file-system", 1)
    text = run_python(*command).stdout
    assert "each of 64 ranks writes up to 7.51 GB, from 60.1 GB of memory a node" in text
    assert "but slurm/train.sbatch has 300 s: submit it with --signal=B:USR1@540" in text
    values = json.loads(run_python(*command, "--json").stdout)["checkpoint"]
    assert values["save_seconds"] == pytest.approx(458.7, abs=0.1)
    refused = run_python(*command[:-1], 0, check=False)
    assert refused.returncode == 2
    assert "--file-system is 0; give GB/s" in refused.stderr
