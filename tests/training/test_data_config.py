"""data.train and data.cache in the config: every form of a blend, written back as it reads; what a resume allows."""

from dataclasses import replace

import pytest
import yaml
from tokenizers import Tokenizer

from megatron_rfft.common.errors import UserError
from megatron_rfft.common.files import read_json, write_json
from megatron_rfft.data.blend import DataSource
from megatron_rfft.tokenization.tokenize import tokenize_corpus
from megatron_rfft.tokenization.tokenizers import load_tokenizer
from megatron_rfft.tokenization.verify import verify_dataset
from megatron_rfft.training.config import ModelSection
from megatron_rfft.training.config_reader import config_from_dict, load_config
from megatron_rfft.training.run_config import write_run_config
from tests.conftest import run_python
from tests.training.conftest import pretend_checkpoint, small_config


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("a", [DataSource("a")]),
        ("[a, b]", [DataSource("a"), DataSource("b")]),
        ("{a: 2, b: 0.5}", [DataSource("a", 2.0), DataSource("b", 0.5)]),
        ("[a, {path: b, weight: 0.5}]", [DataSource("a"), DataSource("b", 0.5)]),
    ],
)
def test_a_blend_is_set_in_the_file_or_as_an_override(config_file, tmp_path, override, expected):
    config = load_config(config_file, ["--data.train", override])
    assert config.data.train == expected
    raw = yaml.safe_load(config_file.read_text())
    raw["data"]["train"] = yaml.safe_load(override)
    assert config_from_dict(raw) == config
    assert config_from_dict(yaml.safe_load(yaml.safe_dump(config.as_dict()))) == config


def test_wrong_weights_end_in_one_line(small_data, config_file):
    for value, message in (("{a: much}", "the weight of a is 'much'"), (f"{{{small_data.prefix}: 0.001}}", "1/420")):
        done = run_python("-m", "megatron_rfft.train", "--config", config_file, "--data.train", value, check=False)
        assert done.returncode == 2
        assert message in done.stderr
        assert done.stderr.count("\n") == 1


def test_a_resumed_run_may_move_its_cache_and_not_its_weights(small_data, tmp_path):
    def config(train, **data):
        raw = small_config(small_data.prefix, tmp_path)
        raw["data"].update(train=train, **data)
        return config_from_dict(raw)

    write_run_config(config(["a"]), {})
    assert yaml.safe_load((tmp_path / "config.yaml").read_text())["data"]["train"] == ["a"]
    pretend_checkpoint(tmp_path)
    write_run_config(config("a", cache=str(tmp_path / "cache")), {})
    with pytest.raises(UserError, match=r"holds a run with data\.train \['a'\], this one has \[{'path': 'a', 'weight"):
        write_run_config(config({"a": 2}), {})


def test_the_section_opens_the_data_set_it_describes(small_data, tmp_path):
    raw = small_config(small_data.prefix, tmp_path)
    raw["data"].update(train={str(small_data.prefix): 2}, packed=False, cache=str(tmp_path / "cache"))
    dataset = config_from_dict(raw).data.open(seed=9)
    assert dataset.epoch_length == 2 * len(dataset.lengths)
    assert dataset.seed == 9
    raw["data"]["packed"] = True
    config_from_dict(raw).data.open(seed=9).packing(0)
    assert list((tmp_path / "cache").glob("packing-*.npy"))


def test_an_id_that_no_document_has_needs_no_row_of_the_embedding(small_data, tmp_path):
    """As the padding token that a tokenizer has beyond its model's embedding."""
    folder = tmp_path / "tokenizer"
    folder.mkdir()
    load_tokenizer(small_data.tokenizer).save_pretrained(folder)
    backend = Tokenizer.from_file(str(folder / "tokenizer.json"))
    backend.add_special_tokens(["<pad>", "<im_start>", "<im_end>"])
    backend.save(str(folder / "tokenizer.json"))
    tokenize_corpus(small_data.corpus, folder, tmp_path / "data")
    section = config_from_dict(small_config(tmp_path / "data", tmp_path)).data
    dataset = section.open(seed=1)
    used = max(int(tokens.max()) for tokens in dataset.parts[0].tokens) + 1
    assert (dataset.vocab_size, dataset.ids_in_use) == (703, used)
    assert used <= 700
    shape = {"num_layers": 2, "hidden_size": 64, "ffn_hidden_size": 160, "num_attention_heads": 4}
    model = ModelSection(**shape, num_query_groups=2)
    assert model.resolve(dataset.vocab_size, dataset.ids_in_use).vocab_size == 703, "without a size: all ids"
    pretrained = replace(model, vocab_size=700)
    assert pretrained.resolve(dataset.vocab_size, dataset.ids_in_use).vocab_size == 700
    with pytest.raises(UserError, match=f"vocab_size {used - 1} is below the {used} ids that the data needs"):
        replace(model, vocab_size=used - 1).resolve(dataset.vocab_size, dataset.ids_in_use)
    assert verify_dataset(tmp_path / "data")["problems"] == []
    manifest = read_json(tmp_path / "data.manifest.json")
    manifest["config"]["ids_in_use"] -= 1
    write_json(tmp_path / "data.manifest.json", manifest)
    assert "config.ids_in_use" in verify_dataset(tmp_path / "data")["problems"][0]
