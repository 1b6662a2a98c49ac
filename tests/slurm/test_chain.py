"""tools/submit.py on a real cluster: from rules to a report by one command."""

import json
import sys
from pathlib import Path

import pytest
import yaml

from tests.conftest import ROOT
from tests.slurm.cluster import wait_until
from tests.training.conftest import small_config

STAGES = ["generate", "tokenize", "data", "pretrain", "adapt", "convert", "evaluate", "report"]
ADAPT = "lengths: 2-3\nsamples: 40\nform: lean\n"


def chain_file(small_data, folder: Path) -> Path:
    """A small model from scratch over two nodes, adapters for two tasks; with a mistake in ``adapt.yaml``."""
    preset = "tasks: coin_flip:1-4,length_int:2-4\nsamples: 40\nform: lean\nnum_shards: 2\n"
    (folder / "corpus.yaml").write_text(preset)
    (folder / "adapt.yaml").write_text(ADAPT.replace("lean", "leen"))
    config = small_config(small_data.prefix, folder / "unused")
    pretrain, adapt = folder / "pretrain-config.yaml", folder / "adapt-config.yaml"
    pretrain.write_text(yaml.safe_dump(config))
    config["adapter"] = {"method": "lora", "rank": 2}
    config["checkpoint"] |= {"load": "set by the chain"}
    adapt.write_text(yaml.safe_dump(config))
    small = ["--cpus-per-task=1", "--mem=1G", "--gpus-per-node=0"]
    whole = ["--gpus-per-node=1"]
    variables = {"PYTHON": sys.executable, "PROCESSES_PER_NODE": "1", "HF_HUB_OFFLINE": "1"}
    values = {
        "run": str(folder / "run"),
        "tokenizer": str(small_data.tokenizer),
        "corpus": {"preset": str(folder / "corpus.yaml"), "parts": 2, "validation": None},
        "pretrain": {"config": str(pretrain), "nodes": 2},
        "adapt": {"config": str(adapt), "tasks": ["coin_flip", "length_int"], "preset": str(folder / "adapt.yaml")},
        "evaluate": {"lengths": "2,3", "samples": 2, "engine": "hf"},
        "slurm": {
            "stages": {name: whole if name in ("pretrain", "adapt") else small for name in STAGES},
            "variables": variables,
        },
    }
    file = folder / "chain.yaml"
    file.write_text(yaml.safe_dump(values))
    return file


@pytest.mark.slow
def test_one_command_leads_from_rules_to_a_report(cluster, small_data, tmp_path):
    file, run = chain_file(small_data, tmp_path), tmp_path / "run"

    def command(*words: object) -> str:
        return cluster.run(sys.executable, *words, PYTHONPATH=ROOT, timeout=120).stdout

    def watched() -> dict[str, dict]:
        stages = json.loads(command("tools/watch.py", run, "--json"))["stages"]
        return {stage["name"]: stage for stage in stages}

    def submitted() -> list[str]:
        return command("tools/submit.py", "--config", file).splitlines()[:-1]

    assert [line.partition(":")[0] for line in submitted() if "submitted" in line] == STAGES
    assert not [line for line in submitted() if "submitted" in line]  # the second time, everything is under way
    wait_until(lambda: cluster.state(watched()["report"]["jobs"][-1]) == "CANCELLED", "the mistake to be found", 120)
    assert watched()["data"]["states"] == {"FAILED": 2}
    assert "leen" in watched()["data"]["error"]
    assert f"mend it and go on with: python tools/submit.py --config {file}" in command("tools/watch.py", run)
    cluster.wait(watched()["tokenize"]["jobs"][0])
    (tmp_path / "adapt.yaml").write_text(ADAPT)
    lines = submitted()
    assert lines[:2] == ["generate: done", "tokenize: done"]
    assert [line.partition(":")[0] for line in lines if "submitted" in line] == STAGES[2:]
    job = watched()["report"]["jobs"][0]
    try:
        wait_until(lambda: cluster.state(job) not in ("PENDING", "RUNNING"), "the report", 500)
    finally:
        print(command("tools/watch.py", run))
    assert (run / "report" / "report.html").is_file()
    assert all(set(stage["states"]) == {"COMPLETED"} for stage in watched().values())
    assert [row["step"] for row in watched()["adapt"]["training"]] == [6, 6]
    assert submitted() == [f"{name}: done" for name in STAGES]
    (run / "evaluation" / "coin_flip" / "results.json").unlink()
    lines = submitted()
    assert lines[:6] == [f"{name}: done" for name in STAGES[:6]]
    assert "(1 of 3 tasks)" in lines[6]
    wait_until(lambda: cluster.state(watched()["report"]["jobs"][-1]) == "COMPLETED", "the report again", 120)
