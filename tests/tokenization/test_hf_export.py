"""The tokenizer of a data set, and so of a model: transformers loads it with the ids of training, whatever it was."""

import json
import shutil

import pytest
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import AutoTokenizer

from megatron_rfft.common.errors import UserError
from megatron_rfft.common.families import FAMILIES
from megatron_rfft.corpus import read_records
from megatron_rfft.data.documents import DatasetPaths
from megatron_rfft.tokenization.tokenize import tokenize_corpus
from megatron_rfft.tokenization.tokenizers import load_tokenizer

QWEN2 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
BYTES = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
THREE_DIGITS = QWEN2.replace(r"|\p{N}|", r"|\p{N}{1,3}|")
CASES = {
    "R1-Distill": ({"tokenizer_class": "LlamaTokenizerFast"}, THREE_DIGITS),
    "three digits, no class": ({}, THREE_DIGITS),
    "three digits, Qwen2": ({"tokenizer_class": "Qwen2Tokenizer"}, THREE_DIGITS),
    "Qwen2": ({"tokenizer_class": "Qwen2Tokenizer"}, QWEN2),
    "decoding cleans up": (
        {"tokenizer_class": "PreTrainedTokenizerFast", "clean_up_tokenization_spaces": True},
        THREE_DIGITS,
    ),
}


def byte_level(corpus, folder, config: dict, split: str = QWEN2, **parts):
    """A byte-level BPE of the corpus, as chat models have them; ``parts`` are others of its pipeline."""
    folder.mkdir()
    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(split), "isolated"),
            BYTES,
        ]
    )
    backend.decoder = decoders.ByteLevel()
    for name, value in parts.items():
        setattr(backend, name, value)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=700, special_tokens=["<|endoftext|>"], initial_alphabet=alphabet, show_progress=False
    )
    texts = [record["prompt"] + record["response"] for record in read_records(corpus)]
    backend.train_from_iterator([*texts, "1234567 123 456 , . ! n't"], trainer)
    backend.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(json.dumps({"eos_token": "<|endoftext|>", **config}))
    return folder


def beside(folder, model_type, target):
    """What transformers makes of the tokenizer in ``folder`` beside a model's config."""
    shutil.copytree(folder, target)
    (target / "config.json").write_text(json.dumps({"model_type": model_type}))
    return AutoTokenizer.from_pretrained(target)


@pytest.mark.parametrize(("config", "split"), CASES.values(), ids=CASES)
def test_what_training_wrote_transformers_reads_with_equal_ids(small_data, tmp_path, config, split):
    source = byte_level(small_data.corpus, tmp_path / "source", config, split, normalizer=normalizers.NFC())
    tokenize_corpus(small_data.corpus, source, tmp_path / "data")
    shipped = DatasetPaths(tmp_path / "data").tokenizer
    ours = load_tokenizer(source)
    texts = [record["prompt"] for record in read_records(small_data.corpus)][:120]
    texts += ["what is 1234567 , 89 ? isn't it . \n\n  x"]
    differing = 0
    for model_type in FAMILIES:
        before = beside(source, model_type, tmp_path / f"before {model_type}")
        after = beside(shipped, model_type, tmp_path / f"after {model_type}")
        assert after.eos_token_id == ours.stop_id
        for text in texts:
            ids = ours.encode(text)
            assert after(text, add_special_tokens=False)["input_ids"] == ids
            assert after.decode(ids) == text
            differing += before(text, add_special_tokens=False)["input_ids"] != ids or before.decode(ids) != text
    if split == QWEN2:
        assert differing == 0
        assert json.loads((shipped / "tokenizer_config.json").read_text()) == {"eos_token": "<|endoftext|>", **config}
    else:
        assert differing, "nothing had to be fixed: this test shows nothing"


TEMPLATES = [
    {"name": "default", "template": "{% for m in messages %}<u>{{ m.content }}</u>{% endfor %}"},
    {"name": "tool_use", "template": "tools"},
]


def test_of_several_chat_templates_the_default_one_is_used(small_data, tmp_path):
    source = byte_level(small_data.corpus, tmp_path / "source", {"chat_template": TEMPLATES})
    manifest = tokenize_corpus(small_data.corpus, source, tmp_path / "data", chat=True)
    assert manifest["chat"] is True
    shipped = DatasetPaths(tmp_path / "data").tokenizer
    for folder in (source, shipped):
        assert load_tokenizer(folder).chat_prompt("hello") == "<u>hello</u>"
    theirs = beside(shipped, "qwen2", tmp_path / "model")
    assert theirs.apply_chat_template([{"role": "user", "content": "hello"}], tokenize=False) == "<u>hello</u>"
    assert theirs.chat_template == TEMPLATES[0]["template"]
    # The same, as newer versions of transformers save it.
    other = byte_level(small_data.corpus, tmp_path / "files", {})
    (other / "chat_template.jinja").write_text(TEMPLATES[0]["template"])
    (other / "additional_chat_templates").mkdir()
    (other / "additional_chat_templates/tool_use.jinja").write_text("tools")
    assert load_tokenizer(other).chat_prompt("hello") == "<u>hello</u>"


def test_chat_templates_without_a_default_one_are_named(small_data, tmp_path):
    source = byte_level(small_data.corpus, tmp_path / "source", {"chat_template": TEMPLATES[1:]})
    with pytest.raises(UserError, match="has the chat templates tool_use, and none of them is called default"):
        tokenize_corpus(small_data.corpus, source, tmp_path / "data", chat=True)


LOSSY = {
    "lowercasing": {"normalizer": normalizers.Lowercase()},
    "without spaces": {"pre_tokenizer": pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), BYTES])},
    "without line breaks": {"normalizer": normalizers.Replace("\n", " ")},
}


@pytest.mark.parametrize("parts", LOSSY.values(), ids=LOSSY)
def test_a_tokenizer_that_cannot_give_back_a_trace_is_refused(small_data, tmp_path, parts):
    """No answer could ever be right."""
    source = byte_level(small_data.corpus, tmp_path / "source", {}, **parts)
    with pytest.raises(UserError, match=r"does not give back the traces that it is given: .* becomes .*; give another"):
        tokenize_corpus(small_data.corpus, source, tmp_path / "data")
    assert not (tmp_path / "data.bin").exists()


def test_other_texts_may_be_normalized_with_a_note(small_data, tmp_path, capsys):
    source = byte_level(small_data.corpus, tmp_path / "source", {}, normalizer=normalizers.NFC())
    records = [{"prompt": "Q", "response": text} for text in ("plain", "cafe\u0301", "more")]
    (tmp_path / "in.jsonl").write_text("\n".join(map(json.dumps, records)))
    manifest = tokenize_corpus(tmp_path / "in.jsonl", source, tmp_path / "data")
    assert manifest["counts"]["documents"] == 3
    note = capsys.readouterr().err
    assert "gives back 1 of 3 sampled responses otherwise: " in note
    assert "'cafe\u0301' becomes 'caf\xe9'" in note
