"""Options that commands share: lengths of tasks, the engine, parts of the work."""

import pytest

from megatron_rfft.commands.options import chosen_engine, read_lengths, read_shard
from megatron_rfft.common.errors import UserError
from megatron_rfft.common.restart import Part


def test_an_evaluation_asks_lengths_that_a_task_lacks_and_takes_no_shares():
    assert read_lengths("coin_flip:1-3,70", None) == {"coin_flip": (1, 2, 3, 70)}
    with pytest.raises(UserError, match="have shares, which only a corpus takes"):
        read_lengths("coin_flip:1-3:0.9,4:0.1", None)


def test_parts_count_from_0_and_the_other_spelling_is_named():
    assert read_shard(None) is None
    assert read_shard("0/2") == Part(0, 2)
    with pytest.raises(UserError, match="I counts from 0; write 0/2 to 1/2, not 1/2 to 2/2"):
        read_shard("2/2")


def test_auto_takes_vllm_where_it_is_installed_and_else_says_that_it_does_not(monkeypatch, capsys):
    monkeypatch.setattr("megatron_rfft.commands.options.find_spec", lambda name: None)
    assert chosen_engine("auto", needs_vllm=False) == "hf"
    assert capsys.readouterr().err == "engine: hf (transformers), since vLLM is not installed here\n"
    assert chosen_engine("auto", needs_vllm=True) == "vllm"  # whose absence is then the error
    assert chosen_engine("vllm", needs_vllm=False) == "vllm"
    monkeypatch.setattr("megatron_rfft.commands.options.find_spec", lambda name: name)
    assert chosen_engine("auto", needs_vllm=False) == "vllm"
    assert chosen_engine("hf", needs_vllm=False) == "hf"
    assert capsys.readouterr().err == ""
