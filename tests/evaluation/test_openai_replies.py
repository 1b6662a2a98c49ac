"""Servers that are not vLLM as we run it: short contexts, other parameters, other shapes of right replies."""

import warnings

import httpx
import pytest

from megatron_rfft.common.errors import CommandFailed, UserError
from megatron_rfft.evaluation.engines import ServerOptions
from megatron_rfft.evaluation.engines.openai_replies import BrokenReply, Refusal, read_text
from megatron_rfft.evaluation.runner import EvaluationConfig, evaluate
from tests.evaluation.test_openai_engine import lines, serving


def ask(output, url, **changes):
    options = {"tasks": ("coin_flip",), "lengths": (5, 6, 7), "samples": 5, "form": "cot-zero-shot", "max_tokens": 500}
    config = EvaluationConfig(model=url, engine=ServerOptions(), **{**options, **changes})
    return evaluate(config, output)


def counts(results) -> dict[str, int]:
    cells = results["tasks"]["coin_flip"]["cells"].values()
    return {key: sum(cell[key] for cell in cells) for key in ("n", "token_limit", "capped", "unasked")}


def lengths_of_prompts(output) -> list[int]:
    return sorted(len(record["prompt"]) for record in lines(output / "generations.jsonl"))


@pytest.fixture(scope="module")
def prompts(tmp_path_factory):
    """Lengths of the prompts that ``ask`` asks; answers of a server without any limit."""
    folder = tmp_path_factory.mktemp("prompts")
    with serving(folder / "server") as url:
        results = ask(folder / "run", url)
    assert counts(results) == {"n": 15, "token_limit": 0, "capped": 0, "unasked": 0}
    return lengths_of_prompts(folder / "run")


@pytest.mark.parametrize("options", [(), ("--silent",), ("--silent", "--terse")], ids=["said", "refused", "terse"])
def test_budgets_are_cut_to_the_context_and_long_prompts_counted(prompts, tmp_path, options):
    context = prompts[5] + 3  # the first six prompts leave room for some tokens, most others for none
    askable = sum(length < context for length in prompts)
    with serving(tmp_path / "server", "--context", str(context), *options) as url:
        results = ask(tmp_path / "run", url)
    assert counts(results) == {"n": 15, "token_limit": 15 - askable, "capped": 15, "unasked": 15 - askable}
    for record in lines(tmp_path / "run/generations.jsonl"):
        room = max(0, context - len(record["prompt"]))
        assert record["budget"] <= room
        assert (record["budget"] == 0) == (room == 0)
        if "--terse" not in options:
            assert record["budget"] == room
        assert (record["text"] == "") == (room == 0)


def test_without_room_for_any_prompt_all_are_counted(prompts, tmp_path):
    with serving(tmp_path / "server", "--context", str(prompts[0])) as url:
        results = ask(tmp_path / "run", url)
    assert counts(results) == {"n": 15, "token_limit": 15, "capped": 15, "unasked": 15}


def test_right_replies_of_other_shapes_are_answers(prompts, tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with serving(tmp_path / "server", "--shapes") as url:
            results = ask(tmp_path / "run", url)
    records = lines(tmp_path / "run/generations.jsonl")
    assert counts(results) == {"n": 15, "token_limit": 0, "capped": 0, "unasked": 0}
    for record in records:
        assert record["text"].endswith(f"So the answer is {len(record['prompt']) % 2 == 0}")
        assert record["num_tokens"] in (7, None)
    assert any("\ufffd Hm." in record["text"] for record in records)
    assert results["timing"]["uncounted"] == sum(record["num_tokens"] is None for record in records) > 0
    assert {cell["mean_tokens"] for cell in results["tasks"]["coin_flip"]["cells"].values()} <= {0.0, 7.0}
    assert len(lines(tmp_path / "server/requests.jsonl")) == 15


NEUTRAL = {"temperature": 0, "presence_penalty": 0, "frequency_penalty": 0, "repetition_penalty": 1.0}


def sent(results) -> dict:
    return {key: value for key, value in results["timing"]["sent"].items() if not key.startswith("max_")}


def test_greedy_is_said_in_full_where_it_is_taken(tmp_path):
    with serving(tmp_path / "server") as url:
        results = ask(tmp_path / "run", url)
    notes = lines(tmp_path / "server/requests.jsonl")
    assert all({**NEUTRAL, "add_special_tokens": False}.items() <= note.items() for note in notes)
    assert sent(results) == {**NEUTRAL, "add_special_tokens": False}


@pytest.mark.parametrize("terse", [False, True])
def test_refused_parameters_are_left_out_and_that_is_recorded(tmp_path, terse):
    refused = "repetition_penalty,add_special_tokens"
    with serving(tmp_path / "server", "--refuse", refused, *(["--terse"] if terse else [])) as url:
        results = ask(tmp_path / "run", url)
    left = {"temperature"} if terse else {"temperature", "presence_penalty", "frequency_penalty"}
    assert sent(results) == {key: NEUTRAL[key] for key in left}
    assert counts(results)["n"] == 15
    last = lines(tmp_path / "server/requests.jsonl")[-1]
    assert not {"repetition_penalty", "add_special_tokens"} & last.keys()


def test_models_that_take_no_temperature_and_another_budget(tmp_path):
    with serving(tmp_path / "server", "--refuse", "max_tokens,temperature") as url:
        results = ask(tmp_path / "run", url)
    assert counts(results) == {"n": 15, "token_limit": 0, "capped": 0, "unasked": 0}
    assert "temperature" not in sent(results)
    assert results["timing"]["sent"]["max_completion_tokens"] == "by question"
    assert lines(tmp_path / "server/requests.jsonl")[-1]["max_completion_tokens"] == 500


def test_what_breaks_twice_alike_is_given_up_and_the_rest_kept(prompts, tmp_path):
    with serving(tmp_path / "server") as url:
        ask(tmp_path / "whole", url)
    text = lines(tmp_path / "whole/generations.jsonl")[3]["prompt"]
    given_up = pytest.raises(CommandFailed, match=r"1 of 15 questions have no answer .*'content_filter'")
    with serving(tmp_path / "server", "--filter", text) as url, given_up:
        ask(tmp_path / "run", url)
    assert len(lines(tmp_path / "run/generations.jsonl")) == 14
    assert [note["messages"][0]["content"] for note in lines(tmp_path / "server/requests.jsonl")[15:]].count(text) == 2


def test_a_question_that_is_refused_does_not_stop_the_others(tmp_path):
    with serving(tmp_path / "server") as url:
        ask(tmp_path / "whole", url)
    text = lines(tmp_path / "whole/generations.jsonl")[0]["prompt"]
    with serving(tmp_path / "server", "--puzzle", text) as url:
        for _ in range(2):  # again when only that question is left
            with pytest.raises(CommandFailed, match=r"1 of 15 questions have no answer .*I do not like this one"):
                ask(tmp_path / "run", url)
            assert len(lines(tmp_path / "run/generations.jsonl")) == 14
    notes = lines(tmp_path / "server/requests.jsonl")
    assert sum("repetition_penalty" not in note for note in notes) <= 2  # without for the refused question alone


def test_a_server_that_takes_nothing_ends_the_run_at_once(tmp_path):
    with serving(tmp_path / "server", "--refuse", "model") as url:
        with pytest.raises(UserError, match=r"'model' is not supported .*check --base-url, --model and --max-tokens"):
            ask(tmp_path / "run", url)
        assert len(lines(tmp_path / "server/requests.jsonl")) <= 32


def reply(**changes) -> httpx.Response:
    choice = {"text": "So the answer is 5", "finish_reason": "stop"}
    return httpx.Response(200, json={"choices": [choice], "usage": {"completion_tokens": 7}, **changes})


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, (7, True)),
        ({"choices": [{"text": "a", "finish_reason": "length"}]}, (7, False)),
        ({"choices": [{"text": "a", "finish_reason": None}]}, (7, True)),
        ({"choices": [{"text": "a", "finish_reason": None}], "usage": {"completion_tokens": 9}}, (9, False)),
        ({"choices": [{"text": "a"}], "usage": None}, (None, True)),
    ],
)
def test_whether_the_model_ended_its_answer(changes, expected):
    completion = read_text(reply(**changes), position=0, budget=9)
    assert (completion.num_tokens, completion.stopped) == expected


@pytest.mark.parametrize(
    "changes",
    [
        {"choices": []},
        {"choices": None},
        {"choices": [{"finish_reason": "stop"}]},
        {"choices": [{"text": "a", "finish_reason": "tool_calls"}]},
        {"choices": [{"message": {"content": 5}, "finish_reason": "stop"}]},
        {"usage": {"completion_tokens": "many"}},
        {"usage": [7]},
    ],
)
def test_what_is_no_answer_is_a_broken_reply(changes):
    with pytest.raises(BrokenReply):
        read_text(reply(**changes), position=0, budget=9)


@pytest.mark.parametrize(
    ("said", "limit"),
    [
        ("This model's maximum context length is 4096 tokens. However, your prompt contains 5000 input tokens", 4096),
        ("'max_tokens' is too large: 24000. This model's maximum context length is 4096 tokens", 4096),
        ("Input length (1100) exceeds model's maximum context length (1024).", 1024),
        ("context_length_exceeded", None),
    ],
)
def test_refusals_for_the_context(said, limit):
    assert Refusal(said).is_too_long
    assert Refusal(said).limit == limit


def test_other_refusals():
    refusal = Refusal("Unsupported parameter: 'max_tokens' is not supported. Use 'max_completion_tokens' instead.")
    assert not refusal.is_too_long
    assert refusal.named(["max_completion_tokens", "temperature"]) == ["max_completion_tokens"]
