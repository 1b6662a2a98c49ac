"""Trained adapters leave as a whole model and as a PEFT folder, both of which compute what the trainer did."""

import itertools
import json
import shutil

import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, PreTrainedModel

from megatron_rfft.common.errors import UserError
from megatron_rfft.conversion.to_hf import to_hf
from megatron_rfft.conversion.to_peft import to_peft
from megatron_rfft.training.config_reader import load_config
from tests.conftest import run_python
from tests.training.adapter_runs import KILL


def hf_model(folder) -> PreTrainedModel:
    return AutoModelForCausalLM.from_pretrained(folder).eval()


@torch.no_grad()
def loss_of_step(model, config_file, step: int) -> float:
    """The loss by transformers over the global batch of ``step``, each packed document by itself."""
    config = load_config(config_file)
    dataset = config.data.open(config.run.seed)
    total = targets = 0.0
    batch = config.batch
    first = (step - 1) * batch.global_batch_size
    for start in range(first, first + batch.global_batch_size, batch.micro_batch_size):
        packed = dataset.batch(range(start, start + batch.micro_batch_size))
        bounds = [int(bound) for bound in packed.cu_seqlens]
        for start, end in itertools.pairwise(bounds):
            tokens, labels = (torch.from_numpy(x[start:end]).long() for x in (packed.tokens, packed.labels))
            losses = torch.nn.functional.cross_entropy(model(tokens[None]).logits[0], labels, reduction="none")
            mask = torch.from_numpy(packed.loss_mask[start:end])
            total, targets = total + float((losses * mask).sum()), targets + float(mask.sum())
    return total / targets


@pytest.mark.parametrize("run", ["lora", "pissa", "pissa on pissa", "qwen3"])
def test_the_merged_model_has_the_loss_of_the_running_one(adapted, run, tmp_path):
    """Step 3 trained on adapters over frozen weights, resumed ones in the last case; transformers has them merged."""
    to_hf(adapted.checkpoint(run, KILL), tmp_path / "hf")
    attempts = adapted.results[run]
    running = attempts[-1][0 if len(attempts) > 1 else KILL][0]
    assert loss_of_step(hf_model(tmp_path / "hf"), adapted.config, KILL + 1) == pytest.approx(running, abs=1e-5)


@pytest.mark.parametrize(("run", "rank"), [("lora", 4), ("pissa", 8), ("qwen3", 8)])
def test_peft_computes_the_logits_of_the_merged_model(adapted, run, rank, tmp_path):
    to_hf(adapted.checkpoint("qwen3 base" if run == "qwen3" else "base", KILL), tmp_path / "base")
    to_hf(adapted.checkpoint(run), tmp_path / "merged")
    to_peft(adapted.checkpoint(run), tmp_path / "peft")
    tokens = torch.randint(0, 700, (2, 40), generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        base = hf_model(tmp_path / "base")
        before, merged = base(tokens).logits, hf_model(tmp_path / "merged")(tokens).logits
        adapted_model = PeftModel.from_pretrained(base, str(tmp_path / "peft")).eval()
        logits = adapted_model(tokens).logits
    assert adapted_model.peft_config["default"].r == rank
    assert (merged - before).abs().max() > 0.1
    torch.testing.assert_close(logits, merged, atol=2e-5, rtol=1e-5)


def test_only_the_targets_change(adapted, tmp_path):
    to_hf(adapted.checkpoint("base", KILL), tmp_path / "base")
    to_hf(adapted.checkpoint("pissa"), tmp_path / "merged")
    before, after = (load_file(tmp_path / name / "model.safetensors") for name in ("base", "merged"))
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed == {name for name in before if name.endswith("_proj.weight")}


def test_a_moved_base_is_named_by_the_user(adapted, tmp_path):
    for run in ("base", "pissa"):
        shutil.copytree(adapted.checkpoint(run, KILL), tmp_path / run)
    manifest = tmp_path / "pissa/manifest.json"
    values = json.loads(manifest.read_text())
    values["config"]["checkpoint"]["load"] = "gone"
    manifest.write_text(json.dumps(values))
    with pytest.raises(UserError, match="adapters on the weights of gone, which are not there"):
        to_hf(tmp_path / "pissa", tmp_path / "hf")
    command = ("tools/convert.py", "to-hf", "--checkpoint", tmp_path / "pissa", "--output", tmp_path / "hf")
    run_python(*command, "--base", tmp_path / "base")
    assert (tmp_path / "hf/model.safetensors").is_file()


def test_what_an_export_cannot_mean_is_refused(adapted, tmp_path):
    with pytest.raises(UserError, match="holds whole weights, no adapters; leave --adapter out"):
        to_peft(adapted.checkpoint("base", KILL), tmp_path / "peft")
    with pytest.raises(UserError, match="holds whole weights, no adapters; leave --base out"):
        to_hf(adapted.checkpoint("base", KILL), tmp_path / "hf", adapted.checkpoint("pissa"))
    to_peft(adapted.checkpoint("pissa"), tmp_path / "peft")
    with pytest.raises(UserError, match="was begun with adapter 'peft', this run has None"):
        to_hf(adapted.checkpoint("pissa"), tmp_path / "peft")
    assert not (tmp_path / "hf").exists()
