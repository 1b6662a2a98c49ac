"""The flagship's layouts as 32 real processes, with toy widths: ranks are lost, layouts change, and no loss does.

Four tests of the same numbers would be four times the wait: each start of 32 processes takes minutes on two cores, most
of it imports. So a run goes through all that can happen to it, in turn.
"""

import signal
from pathlib import Path

import psutil
import pytest
import yaml

from tests.conftest import torchrun
from tests.training.conftest import small_config
from tests.training.launched import Launched, losses

RANKS, TIMEOUT = 32, 1200
TP8_DP4 = ("--parallel.tensor=8", "--parallel.sequence=true")
TP8_PP2_DP2 = (*TP8_DP4, "--parallel.pipeline=2", "--parallel.virtual_pipeline=2")
TP4_DP8 = ("--parallel.tensor=4", "--parallel.sequence=true")
MEMORY_BYTES = 20 << 30


def write_config(folder: Path, prefix: Path, steps: int, **sections) -> Path:
    """A checkpoint every second step; heads, groups, layers and vocabulary split as those of Qwen2.5-32B do."""
    values = small_config(prefix, folder / "run")
    values["run"]["steps"] = steps
    values["model"] |= {
        "hidden_size": 160,
        "ffn_hidden_size": 448,
        "num_attention_heads": 40,
        "num_query_groups": 8,
        "vocab_size": 1024,
    }
    values["batch"] |= {"global_batch_size": 8, "micro_batch_size": 1}
    values["checkpoint"] |= {"interval": 2}
    values["guard"] = {"hang_timeout": 600}
    values["logging"]["tensorboard"] = False
    folder.mkdir()
    path = folder / "run.yaml"
    path.write_text(yaml.safe_dump(values | sections))
    return path


def alone(config: Path) -> list[float]:
    """The losses of one process."""
    torchrun(1, "-m", "megatron_rfft.train", "--config", config)
    return losses(config.parent / "run")


def lose_a_rank(config: Path, layout: tuple[str, ...], rank: int, saved: int, *options: str) -> Launched:
    """Kill ``rank`` after so many checkpoints of the run, when all ranks together fit the memory of a workstation."""
    launched = Launched(config, *options, size=RANKS, saved=saved, timeout=TIMEOUT, overrides=layout)
    ranks = launched.ranks()
    assert len(ranks) == RANKS
    assert sum(process.memory_full_info().uss for process in ranks) < MEMORY_BYTES
    launched.rank(rank).send_signal(signal.SIGKILL)
    psutil.wait_procs(ranks, timeout=TIMEOUT)
    return launched


@pytest.mark.slow
def test_ranks_are_lost_and_layouts_changed_without_a_trace_in_the_losses(small_data, tmp_path):
    """TP8 x DP4 until a rank is lost; TP8 x PP2 x VPP2 x DP2, started again by torchrun after the next loss; PiSSA."""
    expected = alone(write_config(tmp_path / "alone", small_data.prefix, 6))
    config = write_config(tmp_path / "many", small_data.prefix, 6)
    lost = lose_a_rank(config, TP8_DP4, 13, 1)
    assert "Signal 9 (SIGKILL)" in lost.end()
    assert lost.process.returncode
    restarted = lose_a_rank(config, TP8_PP2_DP2, 30, 2, "--max-restarts", "1")
    stderr = restarted.end()
    assert restarted.process.returncode == 0, stderr[-3000:]
    assert losses(restarted.run) == pytest.approx(expected, rel=1e-5)

    adapter = {"method": "pissa", "rank": 4}
    start = {"checkpoint": {"load": str(restarted.run / "checkpoints/step-00000006"), "interval": 2, "keep": 9}}
    expected = alone(write_config(tmp_path / "pissa-alone", small_data.prefix, 4, adapter=adapter, **start))
    config = write_config(tmp_path / "pissa", small_data.prefix, 4, adapter=adapter, **start)
    restarted = lose_a_rank(config, TP4_DP8, 21, 1, "--max-restarts", "1")
    stderr = restarted.end()
    assert restarted.process.returncode == 0, stderr[-3000:]
    assert losses(restarted.run) == pytest.approx(expected, rel=1e-5)
