"""Adapters in the real trainer: the same losses in every layout, exact resume, nothing but adapters in checkpoints."""

import json
import math
import shutil

import pytest
from torch.distributed.checkpoint import FileSystemReader

from megatron_rfft.common.errors import UserError
from megatron_rfft.models.config import ModelConfig
from megatron_rfft.training.checkpoint_files import base_of, data_of, weights_chain
from megatron_rfft.training.config_reader import load_config
from tests.training.adapter_runs import BF16, KILL, LORA, PISSA, TP2_SP, Jobs


@pytest.mark.parametrize("method", ["lora", "pissa"])
def test_untrained_adapters_leave_the_model_as_it_was(adapted, method):
    assert adapted.losses(method)[0] == pytest.approx(adapted.losses("whole")[0], abs=2e-6)
    assert adapted.losses(method)[-1] < adapted.losses(method)[0] - 0.02


def test_bf16_starts_close_to_the_model(adapted):
    assert adapted.losses("bf16")[0] == pytest.approx(adapted.losses("whole")[0], abs=2e-2)


@pytest.mark.parametrize("run", ["pissa DP2", "pissa PP2", "pissa TP2 + SP", "lora TP2", "qwen3 TP2 + SP"])
def test_losses_and_gradient_norms_are_those_of_one_process(adapted, run):
    ours, theirs = adapted.results[run][0][:-1], adapted.results[run.split()[0]][0]
    for row, expected in zip(ours, theirs[: len(ours)], strict=True):
        assert row == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("run", ["pissa", "bf16"])
def test_a_resumed_run_is_bit_for_bit_the_undisturbed_one(adapted, run):
    """Weights are not in the checkpoint: they are read from the base again, and PiSSA's part taken out again."""
    before, after = adapted.results[f"{run} resumed"]
    assert before[:-1] + after == adapted.results[run][0]


def test_a_run_goes_on_in_another_layout(adapted):
    losses = adapted.losses("pissa TP2 + SP") + adapted.losses("pissa moved to PP2")
    assert losses == pytest.approx(adapted.losses("pissa"), abs=1e-5)


def test_the_next_stage_starts_from_merged_weights(adapted):
    whole, pissa = adapted.losses("whole on pissa")[0], adapted.losses("pissa on pissa")[0]
    assert pissa == pytest.approx(whole, abs=2e-6)
    assert whole < adapted.losses("whole")[0] - 0.1


@pytest.mark.parametrize(("run", "bases"), [("base", 0), ("pissa", 1), ("pissa resumed", 1), ("pissa on pissa", 2)])
def test_a_checkpoint_names_the_data_of_all_stages_before(adapted, run, bases):
    """Once each, however often the run was resumed."""
    data = data_of(adapted.checkpoint(run, KILL if run == "base" else KILL + 1))
    assert [part.get("base", False) for part in data] == [False, *[True] * bases]
    assert [part["splits"] for part in data] == [{"train": 420}] * (1 + bases)


@pytest.mark.parametrize("method", ["lora", "pissa"])
def test_a_checkpoint_holds_adapters_and_their_optimizer_states_alone(adapted, method):
    tensors = FileSystemReader(adapted.checkpoint(method) / "state").read_metadata().state_dict_metadata
    sizes = {name: math.prod(entry.size) for name, entry in tensors.items() if hasattr(entry, "size")}
    assert all(".adapter." in name for name in sizes)
    trained = {name: size for name, size in sizes.items() if ".adapter.a" in name or ".adapter.b_" in name}
    trained = {name: size for name, size in trained.items() if not name.startswith("optimizer.")}
    # Q, K, V, O of 32 x 32, 16 x 32, 16 x 32, 32 x 32 and gate, up, down of 96 x 32, in 2 layers, at rank 4.
    assert sum(trained.values()) == 2 * 4 * (64 + 48 + 48 + 64 + 3 * 128)
    for state in ("param", "exp_avg", "exp_avg_sq"):
        prefix = f"optimizer.state.{state}."
        assert {n.removeprefix(prefix): s for n, s in sizes.items() if n.startswith(prefix)} == trained


def _model() -> ModelConfig:
    return ModelConfig(num_layers=2, hidden_size=32, ffn_hidden_size=96, num_attention_heads=4, num_query_groups=2)


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        (["--adapter.method", "dora"], "adapter.method is 'dora'; it must be 'none', 'lora' or 'pissa'"),
        (["--adapter.method", "lora"], "adapter.method lora needs checkpoint.load"),
        ([*LORA, "--adapter.rank", "0"], "adapter.rank is 0; it must be at least 1"),
        ([*LORA, "--adapter.rank", "17"], "adapter.rank is 17, but k_proj has only rank 16"),
        ([*LORA, "--adapter.alpha", "-1"], "adapter.alpha is -1; it must be above 0"),
        ([*LORA, "--adapter.targets", "[lm_head]"], "adapter.targets has 'lm_head'; it may have linear_qkv"),
        ([*LORA, "--adapter.targets", "[]"], "adapter.targets is empty"),
        ([*PISSA, "--adapter.svd_iterations", "-1"], "adapter.svd_iterations is -1"),
    ],
)
def test_what_does_not_fit_is_refused_at_once(config_file, overrides, expected):
    load = [] if "needs" in expected else ["--checkpoint.load", "somewhere"]
    with pytest.raises(UserError, match=expected.replace("[", r"\[")):
        load_config(config_file, [*overrides, *load]).adapter.resolve(_model())


def test_alpha_has_a_default_by_method(config_file):
    def scale(*overrides: str) -> float:
        return load_config(config_file, ["--checkpoint.load", "x", *overrides]).adapter.resolve(_model()).scale

    assert (scale(*LORA), scale(*PISSA), scale(*LORA, "--adapter.alpha", "2")) == (2.0, 1.0, 0.5)


def test_the_base_is_found_again_and_no_other_is_taken(adapted, tmp_path):
    checkpoint, base = adapted.checkpoint("pissa on pissa"), adapted.checkpoint("base", KILL)
    chain = [path.resolve() for path, _ in weights_chain(checkpoint)]
    assert chain == [path.resolve() for path in (checkpoint, adapted.checkpoint("pissa"), base)]
    for run in ("base", "pissa"):  # a tree that was copied elsewhere leads to its own
        shutil.copytree(adapted.folder / run, tmp_path / run)
    assert weights_chain(tmp_path / "pissa/checkpoints/step-00000003")[1][0].is_relative_to(tmp_path)
    with pytest.raises(UserError, match="is not the checkpoint that the adapters"):
        weights_chain(checkpoint, base)
    manifest = json.loads((adapted.checkpoint("pissa") / "manifest.json").read_text())
    manifest["config"]["checkpoint"]["load"] = str(tmp_path / "nowhere")
    manifest["adapter"]["base"]["path"] = "../nowhere"
    with pytest.raises(UserError, match="which are not there; put that checkpoint back"):
        base_of(adapted.checkpoint("pissa"), manifest)


def test_a_damaged_base_is_not_loaded(adapted, tmp_path):
    """The checkpoint itself is intact; what it rests on is not."""
    for run in ("base", "pissa"):
        shutil.copytree(adapted.folder / run, tmp_path / run)
    shard = next((tmp_path / "base/checkpoints/step-00000002/state").glob("*.distcp"))
    shard.write_bytes(b"\0" * shard.stat().st_size)
    with pytest.raises(UserError, match="base/checkpoints/step-00000002 is damaged"):
        weights_chain(tmp_path / "pissa/checkpoints/step-00000003")


@pytest.mark.slow
def test_four_processes_share_the_decompositions(adapted):
    """TP2 x DP2: matrices are gathered over one axis, dealt out and sent around over both."""
    jobs = Jobs(adapted.config, adapted.folder)
    on_base = ("--checkpoint.load", str(adapted.checkpoint("base", KILL)))
    jobs.add("pissa TP2 x DP2", *on_base, *PISSA, *TP2_SP)
    jobs.add("bf16 TP2 x DP2", *on_base, *PISSA, *TP2_SP, *BF16, attempts=(1,))
    results = jobs.run(4)
    losses = [row[0] for row in results["pissa TP2 x DP2"][0][:-1]]
    assert losses == pytest.approx(adapted.losses("pissa"), abs=1e-5)
    assert results["bf16 TP2 x DP2"][0][0][0] == pytest.approx(adapted.losses("bf16")[0], abs=1e-2)
