"""fastokens stands in for tokenizers only where it gives the same ids."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer as Backend
from tokenizers import decoders, models, pre_tokenizers, trainers

from megatron_rfft.common.errors import UserError
from megatron_rfft.corpus import read_records
from megatron_rfft.data.documents import Documents
from megatron_rfft.tokenization.engines import first_difference, load_engine, why_not_fast
from megatron_rfft.tokenization.options import Options
from megatron_rfft.tokenization.sources import open_inputs
from megatron_rfft.tokenization.tokenize import tokenize

QWEN_PATTERN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


@pytest.fixture(scope="module")
def hf_folder(small_data, tmp_path_factory):
    """A byte-level BPE with Qwen2's pre-tokenizer, trained on the small corpus."""
    from tokenizers import Regex

    folder = tmp_path_factory.mktemp("hf")
    backend = Backend(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(QWEN_PATTERN), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    backend.decoder = decoders.ByteLevel()
    texts = [record[key] for record in read_records(small_data.corpus) for key in ("prompt", "response")]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    backend.train_from_iterator(
        texts, trainers.BpeTrainer(vocab_size=700, initial_alphabet=alphabet, special_tokens=special)
    )
    backend.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(json.dumps({"eos_token": "<|im_end|>"}))
    return folder


characters = st.one_of(
    st.characters(codec="utf-8"), st.sampled_from(" \n\r\t'0123456789éé½٣😀=[]_"), st.sampled_from(["<|im_end|>", "  "])
)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.lists(characters, max_size=40).map("".join), min_size=1, max_size=8))
def test_equal_ids_for_any_text(hf_folder, texts):
    path = hf_folder / "tokenizer.json"
    fast, slow = (load_engine(name, path)(texts) for name in ("fastokens", "tokenizers"))
    assert first_difference(fast, slow) is None


def test_it_is_chosen_where_it_is_exact_and_the_bytes_do_not_depend_on_it(hf_folder, small_data, tmp_path):
    assert why_not_fast(hf_folder / "tokenizer.json", ["now, a = 1 + 2 = 3\n"]) is None
    made = {}
    for engine in ("auto", "tokenizers"):
        prefix = tmp_path / engine
        manifest = tokenize(open_inputs([small_data.corpus]), Options(hf_folder, engine=engine), prefix)
        made[engine] = (manifest["engine"], prefix.with_suffix(".bin").read_bytes(), len(Documents(prefix)))
    assert made["auto"][0] == "fastokens"
    assert made["tokenizers"][0] == "tokenizers"
    assert made["auto"][1:] == made["tokenizers"][1:]


def test_another_engine_takes_over_where_it_is_not_exact(hf_folder, small_data, tmp_path, monkeypatch, capsys):
    import megatron_rfft.tokenization.tokenize as module

    monkeypatch.setattr(module, "why_not_fast", lambda *_: "fastokens gives other ids than tokenizers for 'x'")
    manifest = tokenize(open_inputs([small_data.corpus]), Options(hf_folder), tmp_path / "data")
    assert manifest["engine"] == "tokenizers"
    assert "note: fastokens gives other ids" in capsys.readouterr().err
    with pytest.raises(UserError, match="leave --engine out"):
        tokenize(open_inputs([small_data.corpus]), Options(hf_folder, engine="fastokens"), tmp_path / "other")
