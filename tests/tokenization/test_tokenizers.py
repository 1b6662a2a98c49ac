"""SentencePiece vocabularies: lossless, digits single, and exported with equal ids."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from megatron_rfft.common.errors import UserError
from megatron_rfft.corpus import read_records
from megatron_rfft.tokenization.tokenizers import HFTokenizer, SentencePieceTokenizer, load_tokenizer


@pytest.fixture(scope="module")
def both(small_data, tmp_path_factory) -> tuple[SentencePieceTokenizer, HFTokenizer]:
    """The SentencePiece model and its exported tokenizer.json."""
    folder = tmp_path_factory.mktemp("exported")
    original = load_tokenizer(small_data.tokenizer)
    original.save_pretrained(folder)
    return original, load_tokenizer(folder)


PIECES = st.sampled_from(
    ["while turns:", " ", "  ", "\n", "\t", "now, x = ", "12", "['Ana', 'flip']", "é", "🙂", "▁", "<s>"]
)
TEXTS = st.lists(st.one_of(PIECES, st.text(max_size=8)), max_size=12).map("".join)


@settings(max_examples=300, deadline=None)
@given(text=TEXTS)
def test_the_export_gives_equal_ids_for_any_text(both, text):
    original, exported = both
    assert exported.encode(text) == original.encode(text)


def test_traces_survive_the_round_trip(both, small_data):
    for record in read_records(small_data.corpus):
        for tokenizer in both:
            assert tokenizer.decode(tokenizer.encode(record["response"])) == record["response"]


def test_digits_stay_single_and_recited_lines_are_short(both):
    original, _ = both
    assert len(original.encode("while turns:\n")) == 1
    number = "3141592653589793"
    assert len(original.encode(number)) >= len(number)


def test_to_recite_is_to_copy(both):
    """A line of the rule has the same pieces as where it is recited, without its indentation."""
    original, _ = both
    for line in ("result += 1\n", "num = num[1:]\n", "while num:\n", "turns = turns[1:]\n"):
        recited = original.encode(line)
        for depth in (1, 2):
            assert original.encode(" " * 4 * depth + line)[-len(recited) :] == recited


def test_stop_token_and_size_agree(both):
    original, exported = both
    assert (original.stop_id, original.vocab_size) == (exported.stop_id, exported.vocab_size)


@pytest.mark.parametrize("model_type", [None, "qwen2", "llama"])
def test_transformers_loads_the_export_with_equal_ids(both, small_data, tmp_path, model_type):
    """Beside a model's config too: transformers 5 makes a tokenizer of its own of whatever lies beside a qwen2 one."""
    from transformers import AutoConfig, AutoTokenizer

    original, _ = both
    original.save_pretrained(tmp_path)
    if model_type:
        AutoConfig.for_model(model_type).save_pretrained(tmp_path)
    theirs = AutoTokenizer.from_pretrained(tmp_path)
    records = [record for _, record in zip(range(20), read_records(small_data.corpus), strict=False)]
    for text in (*(record["prompt"] + record["response"] for record in records), "naïve  café\n\n\t🙂 x = ['a', 12]"):
        assert theirs(text)["input_ids"] == original.encode(text)
        assert theirs.decode(original.encode(text)) == text
    assert theirs.eos_token_id == original.stop_id


def test_what_is_no_tokenizer_is_refused(tmp_path):
    (tmp_path / "broken.model").write_bytes(b"nonsense")
    for path in (tmp_path, tmp_path / "broken.model", tmp_path / "absent", tmp_path / "absent.model"):
        with pytest.raises(UserError):
            load_tokenizer(path)
