"""The configs under examples/models are those of the published checkpoints."""

import re

import pytest

from megatron_rfft.models import published
from megatron_rfft.models.config import ModelConfig
from tests.conftest import ROOT

PUBLISHED = {
    "qwen2.5-0.5b": 494_032_768,
    "qwen2.5-1.5b": 1_543_714_304,
    "qwen2.5-7b": 7_615_616_512,
    "qwen2.5-14b": 14_770_033_664,
    "qwen2.5-32b": 32_763_876_352,
    "qwen2.5-math-1.5b": 1_543_714_304,
    "qwen2.5-math-7b": 7_615_616_512,
    "r1-distill-qwen-1.5b": 1_777_088_000,
    "r1-distill-qwen-7b": 7_615_616_512,
    "r1-distill-qwen-14b": 14_770_033_664,
    "r1-distill-qwen-32b": 32_763_876_352,
    "llama-3.1-8b": 8_030_261_248,
    "llama-3.2-1b": 1_235_814_400,
    "llama-3.2-3b": 3_212_749_824,
    "qwen3-0.6b": 596_049_920,
    "qwen3-1.7b": 1_720_574_976,
    "qwen3-4b": 4_022_468_096,
    "qwen3-8b": 8_190_735_360,
    "qwen3-14b": 14_768_307_200,
    "qwen3-32b": 32_762_123_264,
}


@pytest.mark.parametrize("name", published.PUBLISHED)
def test_what_the_package_says_of_them_is_what_their_configs_say(name):
    assert ModelConfig.from_hf(ROOT / "examples/models" / name) == published.PUBLISHED[name]


@pytest.mark.parametrize(("name", "parameters"), PUBLISHED.items())
def test_parameters_equal_the_published_count(name, parameters):
    model = ModelConfig.from_hf(ROOT / "examples/models" / name)
    assert model.num_parameters() == parameters
    assert model.padded_vocab_size == model.vocab_size, "no rows that a checkpoint lacks"
    assert model.family.qkv_bias == name.startswith(("qwen2", "r1-distill-qwen"))


def test_every_config_has_its_count_here_and_its_size_in_the_readme():
    folders = {path.name for path in (ROOT / "examples/models").iterdir()}
    assert folders == PUBLISHED.keys()
    page = (ROOT / "README.md").read_text()
    rows = re.findall(r"^\| ([^|]+) \| ([^|]+) \| `\w+` \|", page, re.MULTILINE)
    stated = {
        f"{model} {size}".lower().replace(" ", "-") for model, sizes in rows for size in re.findall(r"[\d.]+B", sizes)
    }
    assert stated == PUBLISHED.keys()
