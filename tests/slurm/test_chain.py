"""tools/submit.py on a real cluster: from rules to a report by one command."""

import json
import shlex
import sys
from pathlib import Path

import pytest
import torch
import yaml
from transformers import Qwen2Config, Qwen2ForCausalLM

from tests.conftest import ROOT
from tests.evaluation.conftest import CHARACTERS, save_tokenizer
from tests.slurm.cluster import wait_until
from tests.training.conftest import small_config

STAGES = ["generate", "tokenize", "data", "pretrain", "adapt", "convert", "evaluate", "report"]
ADAPT = "lengths: 2-3\nsamples: 40\nform: lean\n"


class ChainOnCluster:
    """A chain with a small model over two nodes and adapters for its tasks; its commands run on the cluster's head."""

    def __init__(self, cluster, folder: Path, tasks: list[str], sections: dict, values: dict):
        """``sections`` of the training configs and ``values`` of the chain, besides what all chains here have."""
        self.cluster, self.folder, self.run, self.file = cluster, folder, folder / "run", folder / "chain.yaml"
        folder.mkdir(parents=True, exist_ok=True)
        preset = "tasks: coin_flip:1-4,length_int:2-4\nsamples: 40\nform: lean\nnum_shards: 2\n"
        (folder / "corpus.yaml").write_text(preset)
        (folder / "adapt.yaml").write_text(ADAPT)
        config = small_config(folder / "set by the chain", folder / "unused") | sections
        pretrain, adapt = folder / "pretrain-config.yaml", folder / "adapt-config.yaml"
        pretrain.write_text(yaml.safe_dump(config))
        config["adapter"] = {"method": "lora", "rank": 2}
        config["checkpoint"] |= {"load": "set by the chain"}
        adapt.write_text(yaml.safe_dump(config))
        small = ["--cpus-per-task=1", "--mem=1G"]
        stages = dict.fromkeys((*STAGES, "from-hf"), small)
        stages |= {name: ["--gpus-per-node=1"] for name in ("pretrain", "adapt")}
        common = {
            "run": str(self.run),
            "corpus": {"preset": str(folder / "corpus.yaml"), "parts": 2, "validation": None},
            "pretrain": {"config": str(pretrain), "nodes": 2},
            "adapt": {
                "config": str(adapt),
                "tasks": tasks,
                "preset": str(folder / "adapt.yaml"),
                "options": ["--logging.profile", "[1, 2]"],
            },
            "slurm": {
                "stages": stages,
                "variables": {"PYTHON": sys.executable, "PROCESSES_PER_NODE": "1", "HF_HUB_OFFLINE": "1"},
            },
        }
        self.file.write_text(yaml.safe_dump(common | values))

    def command(self, *words: object) -> str:
        return self.cluster.run(sys.executable, *words, PYTHONPATH=ROOT, timeout=120).stdout

    def watched(self) -> dict[str, dict]:
        stages = json.loads(self.command("tools/watch.py", self.run, "--json"))["stages"]
        return {stage["name"]: stage for stage in stages}

    def submit(self) -> list[str]:
        return self.command("tools/submit.py", "--config", self.file).splitlines()[:-1]

    def wait_for_report(self, timeout: float) -> None:
        """Wait for the newest report's job, whatever becomes of it."""
        job = self.watched()["report"]["jobs"][0]
        try:
            wait_until(lambda: self.cluster.state(job) not in ("PENDING", "RUNNING"), "the report", timeout)
        finally:
            print(self.command("tools/watch.py", self.run))

    def is_done(self) -> bool:
        report = (self.run / "report" / "report.html").is_file()
        return report and all(set(stage["states"]) == {"COMPLETED"} for stage in self.watched().values())


def from_scratch(cluster, small_data, folder: Path) -> ChainOnCluster:
    values = {"tokenizer": str(small_data.tokenizer), "evaluate": {"lengths": "2,3", "samples": 2, "engine": "hf"}}
    return ChainOnCluster(cluster, folder, ["coin_flip", "length_int"], {}, values)


def submitted(lines: list[str]) -> list[str]:
    return [line.partition(":")[0] for line in lines if "submitted" in line]


@pytest.mark.slow
def test_one_command_leads_from_rules_to_a_report(cluster, small_data, tmp_path):
    folder = tmp_path / "my runs: 50% of it's #1"
    chain, run = from_scratch(cluster, small_data, folder), folder / "run"
    (folder / "adapt.yaml").write_text(ADAPT.replace("lean", "leen"))
    assert submitted(chain.submit()) == STAGES
    report = chain.watched()["report"]["jobs"][0]
    wait_until(lambda: cluster.state(report) == "CANCELLED", "the mistake to be found", 120)
    cluster.wait(chain.watched()["data"]["jobs"][0])
    seen = chain.watched()
    assert seen["data"]["states"] == {"FAILED": 2}
    assert "leen" in seen["data"]["error"]
    assert [name for name in STAGES if seen[name]["failed"]] == ["data"]
    told = chain.command("tools/watch.py", run)
    again = shlex.join(["rfft", "submit", "--config", str(chain.file), "--run", str(run)])
    assert f"fix it and go on with: {again}" in told
    cluster.wait(seen["tokenize"]["jobs"][0])
    (folder / "adapt.yaml").write_text(ADAPT)
    lines = chain.submit()
    assert lines[:2] == ["generate: done", "tokenize: done"]
    # RF-pretraining does not need the data of adaptation: it went on.
    assert submitted(lines) == [name for name in STAGES[2:] if name != "pretrain"]
    assert submitted(chain.submit()) == []  # everything is under way
    chain.wait_for_report(900)
    assert chain.is_done()
    assert f"everything is finished: {run}/report/report.html" in chain.command("tools/watch.py", run)
    assert [row["step"] for row in chain.watched()["adapt"]["training"]] == [6, 6]
    assert (run / "adapt" / "meta" / "coin_flip" / "profile" / "trace-1-2.json").is_file()
    assert chain.submit() == [f"{name}: done" for name in STAGES]
    (run / "evaluation" / "meta" / "coin_flip" / "results.json").unlink()
    lines = chain.submit()
    assert lines[:6] == [f"{name}: done" for name in STAGES[:6]]
    assert "(1 of 3 tasks)" in lines[6]
    chain.wait_for_report(120)
    assert chain.is_done()


def make_hf_folder(folder: Path) -> None:
    """A random Qwen2 with a tokenizer of single characters, of a size that vLLM's CPU attention knows."""
    torch.manual_seed(0)
    size = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "max_position_embeddings": 4096}
    heads = {"num_attention_heads": 2, "num_key_value_heads": 1}
    model = Qwen2ForCausalLM(Qwen2Config(vocab_size=len(CHARACTERS), initializer_range=0.2, **size, **heads))
    model.save_pretrained(folder)
    save_tokenizer(folder, "\x0c")


@pytest.mark.vllm
@pytest.mark.slow
def test_two_chains_at_once_one_of_them_from_an_hf_folder_to_vllm(cluster, small_data, tmp_path):
    scratch = from_scratch(cluster, small_data, tmp_path / "scratch")
    hf = tmp_path / "hf"
    make_hf_folder(hf)
    sections = {"model": {"hf_config": str(hf)}, "data": {"train": "set by the chain", "sequence_length": 2048}}
    values = {"model": str(hf), "evaluate": {"lengths": "2,3", "samples": 2, "engine": "vllm"}}
    from_hf = ChainOnCluster(cluster, tmp_path / "from-hf", ["coin_flip"], sections, values)
    assert submitted(scratch.submit()) == STAGES
    assert submitted(from_hf.submit()) == [*STAGES[:3], "from-hf", *STAGES[3:]]
    from_hf.wait_for_report(900)
    scratch.wait_for_report(300)
    for chain in (scratch, from_hf):
        assert chain.is_done()
        jobs = [job for stage in chain.watched().values() for job in stage["jobs"]]
        assert all(task["Restarts"] == "0" for job in jobs for task in cluster.jobs(job).values())
    for name in ("pretrain", "meta/coin_flip"):
        results = json.loads((from_hf.run / "evaluation" / name / "results.json").read_text())
        assert "vllm" in json.dumps(results)
    start = yaml.safe_load((from_hf.run / "pretrain" / "config.yaml").read_text())["checkpoint"]["load"]
    assert start == str(from_hf.run / "base")


@pytest.mark.slow
def test_arms_and_seeds_with_a_vocabulary_of_their_own(cluster, tmp_path):
    """Arrays of RF-pretraining and adaptation, an arm that needs none of it, and a lost result."""
    no_adapter = ["--adapter.method", "none", "--checkpoint.load", "null"]
    values = {
        "vocabulary": {"size": 700},
        "seeds": [1, 2],
        "arms": {"vanilla": {"options": no_adapter}, "meta": None},
        "evaluate": {"lengths": "2,3", "samples": 2, "engine": "hf"},
    }
    chain = ChainOnCluster(cluster, tmp_path, ["length_int"], {}, values)
    assert submitted(chain.submit()) == ["generate", "vocabulary", *STAGES[1:]]
    chain.wait_for_report(900)
    assert chain.is_done()
    losses = {}
    for name in ("pretrain/seed-1", "pretrain/seed-2", *(f"adapt/meta/length_int/seed-{seed}" for seed in (1, 2))):
        rows = [json.loads(line) for line in (chain.run / name / "metrics.jsonl").read_text().splitlines()]
        assert rows[-1]["step"] == 6
        losses[name] = rows[0]["loss"]
    assert len(set(losses.values())) == 4
    starts = yaml.safe_load((chain.run / "adapt/meta/length_int/seed-2/config.yaml").read_text())["checkpoint"]["load"]
    assert starts == str(chain.run / "pretrain/seed-2/checkpoints/step-00000006")
    (chain.run / "evaluation/meta/length_int/seed-2/results.json").unlink()
    lines = chain.submit()
    assert submitted(lines) == ["evaluate", "report"]
    assert any("evaluate" in line and "(1 of 4 tasks)" in line for line in lines)
    chain.wait_for_report(200)
    assert chain.is_done()
