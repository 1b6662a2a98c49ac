"""The rows, the reward function and the recipe in verl itself."""

import asyncio
import shutil
from pathlib import Path

import pytest

from megatron_rfft.corpus import CorpusConfig, generate_corpus
from megatron_rfft.corpus.export import export_corpora
from tests.conftest import ROOT, run_python
from tests.environments.conftest import page_command

pytestmark = pytest.mark.slow
pytest.importorskip("verl", reason="needs verl")
OmegaConf = pytest.importorskip("omegaconf", reason="needs verl").OmegaConf


@pytest.fixture(scope="module")
def config():
    """The recipe as verl's command reads it: hydra prints it with all of verl's defaults."""
    printed = run_python(*page_command("verl.trainer.main_ppo")[1:], "--cfg", "job", timeout=900).stdout
    return OmegaConf.create(printed[printed.index("actor_rollout_ref:") :])


@pytest.fixture(scope="module")
def tokenizer(bigram_model, tmp_path_factory):
    from transformers import AutoTokenizer

    folder = shutil.copytree(bigram_model, tmp_path_factory.mktemp("models") / "chat")
    (folder / "chat_template.jinja").write_text("{% for m in messages %}{{ m.content }}{% endfor %}")
    return AutoTokenizer.from_pretrained(folder)


@pytest.fixture(scope="module")
def rows(config, tokenizer, tmp_path_factory):
    """What verl's data set makes of an export."""
    from verl.utils.dataset.rl_dataset import RLHFDataset

    folder = tmp_path_factory.mktemp("data")
    generate_corpus(CorpusConfig({"length_int": [2, 3]}, samples=6, form="lean"), folder / "corpus")
    export_corpora([folder / "corpus"], folder / "export", layout="rl")
    return RLHFDataset(
        [str(folder / "export/lean/train-00000-of-00001.parquet")],
        tokenizer,
        {**config.data, "cache_dir": str(folder), "max_prompt_length": 4096, "filter_overlong_prompts": True},
    )


def test_the_recipe_is_the_papers_and_has_only_keys_that_verl_has(config):
    import verl

    known = OmegaConf.load(Path(verl.__file__).parent / "trainer/config/_generated_ppo_trainer.yaml")
    ours = OmegaConf.load(ROOT / "examples/rl/ppo.yaml")
    assert _paths(ours) - _paths(known) == {"defaults", "reward.custom_reward_function.reward_kwargs.step_weight"}
    assert config.algorithm.adv_estimator == "gae"
    assert (config.algorithm.gamma, config.algorithm.lam) == (1.0, 1.0)
    assert not config.algorithm.use_kl_in_reward
    assert not config.actor_rollout_ref.actor.use_kl_loss
    assert (config.actor_rollout_ref.actor.optim.lr, config.critic.optim.lr) == (1e-6, 9e-6)
    assert config.actor_rollout_ref.actor.clip_ratio == 0.2
    assert config.data.train_batch_size == config.actor_rollout_ref.actor.ppo_mini_batch_size == 256
    assert config.data.train_batch_size * config.actor_rollout_ref.rollout.n == 1024


def test_verls_data_set_reads_the_rows(rows):
    assert len(rows) == 12
    row = rows[0]
    assert row["data_source"] == "length_int/2"
    assert [message["role"] for message in row["raw_prompt"]] == ["user"]
    assert row["extra_info"]["split"] == "train"


def test_verls_reward_manager_scores_answers(rows, config, tokenizer):
    import numpy
    import torch
    from verl import DataProto
    from verl.trainer.ppo.reward import load_reward_manager

    from megatron_rfft.environments.rewards import example_of

    config = config.copy()
    config.reward.custom_reward_function.reward_kwargs.step_weight = 0.5
    manager = load_reward_manager(config, tokenizer)
    for number, row in enumerate(rows):
        lines = example_of(row["extra_info"]).response.split("\n")
        right = number % 2 == 0
        given = lines if right else lines[:5]
        ids = torch.tensor([tokenizer("\n".join(given), add_special_tokens=False)["input_ids"]])
        mask = torch.ones(1, ids.shape[1] + 1, dtype=torch.int64)
        data = DataProto.from_dict(
            tensors={"prompts": ids[:, :1], "responses": ids, "attention_mask": mask},
            non_tensors={
                name: numpy.array([row[name]], dtype=object) for name in ("data_source", "reward_model", "extra_info")
            },
        )
        scored = asyncio.run(_scored(manager, data))
        steps = 1.0 if right else 5 / len(lines)
        assert scored["reward_score"] == pytest.approx((right + steps) / 2)
        assert scored["reward_extra_info"]["acc"] == right
        assert scored["reward_extra_info"]["steps"] == pytest.approx(steps)


async def _scored(manager, data):
    manager.loop = asyncio.get_running_loop()
    return await manager.run_single(data)


def _paths(config, before: str = "") -> set[str]:
    """The dotted names of all values."""
    found = set()
    for name in config:
        inner = config._get_node(name)
        is_section = OmegaConf.is_dict(inner)
        found |= _paths(inner, f"{before}{name}.") if is_section else {f"{before}{name}"}
    return found
