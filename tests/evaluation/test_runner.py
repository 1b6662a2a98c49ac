"""A run from questions to results, with an engine that knows the answers."""

import json
import shutil

import pytest

from megatron_rfft.common.errors import UserError
from megatron_rfft.common.restart import Part
from megatron_rfft.corpus.plan import plan_cell
from megatron_rfft.evaluation.engines import Completion, Engine, VllmOptions
from megatron_rfft.evaluation.questions import draw_examples, token_budget
from megatron_rfft.evaluation.run_folder import open_run_folder
from megatron_rfft.evaluation.runner import TRUE_LINES, EvaluationConfig, evaluate
from megatron_rfft.tasks import load_task
from megatron_rfft.tokenization.tokenizers import load_tokenizer


class OracleEngine(Engine):
    """Answers by ``respond(prompt, true response)``: a text that ends, or None for one that runs on."""

    name, version, dtype, device = "oracle", "oracle 1", "float32", "cpu"

    def __init__(self, model, respond, form):
        self.tokenizer = load_tokenizer(model)
        self.respond = respond
        self.num_requests = 0
        examples = [
            example
            for task in ("coin_flip", "length_int", "get_digit_int")
            for length in range(1, 7)
            for example in draw_examples(load_task(task), length, 40, "test", form)
        ]
        self.responses = {example.prompt: example.response for example in examples}

    def generate(self, requests, finished=()):
        for position, request in enumerate(requests):
            if position not in finished:
                self.num_requests += 1
                prompt = self.tokenizer.decode(request.prompt_ids)
                text = self.respond(prompt, self.responses[prompt])
                if text is None:
                    yield Completion(position, [5] * request.max_tokens, stopped=False)
                else:
                    yield Completion(position, self.tokenizer.encode(text), stopped=True)


@pytest.fixture
def use_engine(tiny_model, monkeypatch):
    def install(respond=lambda prompt, response: response, form="direct") -> OracleEngine:
        engine = OracleEngine(tiny_model, respond, form)
        monkeypatch.setattr(VllmOptions, "load", lambda *_: engine)
        return engine

    return install


def config(model, **changes) -> EvaluationConfig:
    settings = {"model": model, "tasks": ("coin_flip", "length_int"), "lengths": (3, 5), "samples": 12, **changes}
    return EvaluationConfig(**settings)


def test_true_answers_score_full_marks(tiny_model, tmp_path, use_engine):
    use_engine()
    results = evaluate(config(tiny_model), tmp_path / "run")
    cell = results["tasks"]["coin_flip"]["cells"]["5"]
    assert (cell["n"], cell["correct"], cell["accuracy"]) == (12, 12, 1.0)
    assert results["summary"] == {"max_len_90_any": 5, "max_len_90_all": 5, "accuracy_at_longest": 1.0}
    assert results["settings"]["form"] == "direct"  # the model's own, as none was asked for
    assert results["tasks"]["coin_flip"]["trained_lengths"] == [1, 2, 3, 4]
    assert results["tasks"]["length_int"]["trained_lengths"] == []
    assert results["tasks"]["coin_flip"]["samples"]["correct"]["length"] == 5
    assert results["tasks"]["coin_flip"]["samples"]["failed"] is None


def test_a_sample_has_the_true_lines_behind_its_first_error(tiny_model, tmp_path, use_engine):
    use_engine(lambda prompt, response: response.replace("2. Main loop", "2. Main lop"), form="lean")
    results = evaluate(config(tiny_model, form="lean", tasks=("length_int",)), tmp_path / "run")
    sample = results["tasks"]["length_int"]["samples"]["correct"]
    example = load_task("length_int").example(length=sample["length"], split="test", index=sample["index"], form="lean")
    true_lines = example.response.split("\n")
    line = sample["trace"]["error"]["line"]
    assert true_lines[line - 1] == sample["trace"]["error"]["expected"] == "2. Main loop"
    assert sample["trace"]["true_after"] == true_lines[line : line + TRUE_LINES]
    assert "true_after" not in (tmp_path / "run/generations.jsonl").read_text()


def test_outcomes_are_told_apart(tiny_model, tmp_path, use_engine):
    answers = {"coin_flip": None, "length_int": "So the answer is 99"}

    def respond(prompt, response):
        return answers["coin_flip" if "coin" in prompt else "length_int"]

    use_engine(respond)
    tasks = evaluate(config(tiny_model), tmp_path / "run")["tasks"]
    assert (tasks["coin_flip"]["summary"]["wrong"], tasks["coin_flip"]["summary"]["token_limit"]) == (0, 24)
    assert (tasks["length_int"]["summary"]["wrong"], tasks["length_int"]["summary"]["token_limit"]) == (24, 0)
    record = json.loads((tmp_path / "run/generations.jsonl").read_text().splitlines()[0])
    true_response = load_task("coin_flip").example(length=3, form="direct").response
    assert record["num_tokens"] == record["budget"] == token_budget(len(true_response) + 1, "lean")


def test_a_finished_run_needs_no_engine(tiny_model, tmp_path, use_engine, monkeypatch):
    use_engine()
    first = evaluate(config(tiny_model), tmp_path / "run")
    monkeypatch.setattr(VllmOptions, "load", None)
    assert evaluate(config(tiny_model), tmp_path / "run") == first


def test_a_torn_run_asks_only_for_what_is_missing(tiny_model, tmp_path, use_engine):
    use_engine()
    first = evaluate(config(tiny_model), tmp_path / "run")
    generations = tmp_path / "run/generations.jsonl"
    whole = generations.read_bytes()
    (tmp_path / "run/results.json").unlink()
    generations.write_bytes(whole[: len(whole) // 2])  # in the middle of a line
    num_kept = whole[: len(whole) // 2].count(b"\n")
    engine = use_engine()
    second = evaluate(config(tiny_model), tmp_path / "run")
    assert engine.num_requests == 48 - num_kept
    assert generations.read_bytes() == whole
    assert {**second, "timing": None} == {**first, "timing": None}


def test_each_task_may_have_lengths_of_its_own(tiny_model, tmp_path, use_engine):
    use_engine()
    own = {"coin_flip": (3,), "length_int": (3, 5)}
    results = evaluate(config(tiny_model, lengths=own), tmp_path / "own")
    assert {task: list(found["cells"]) for task, found in results["tasks"].items()} == {
        "coin_flip": ["3"],
        "length_int": ["3", "5"],
    }
    assert results["settings"]["lengths"] == {"coin_flip": [3], "length_int": [3, 5]}
    use_engine()
    evaluate(config(tiny_model), tmp_path / "same")
    again = evaluate(config(tiny_model, lengths=dict.fromkeys(own, (3, 5))), tmp_path / "same")
    assert again["settings"]["lengths"] == [3, 5]


def test_parts_are_joined_to_the_same_results(tiny_model, tmp_path, use_engine):
    use_engine()
    whole = evaluate(config(tiny_model), tmp_path / "whole")
    for part in range(3):
        engine = use_engine()
        results = evaluate(config(tiny_model, shard=Part(part, 3)), tmp_path / "run")
        assert engine.num_requests == 16
        assert "tasks" not in results
    engine = use_engine()
    joined = evaluate(config(tiny_model), tmp_path / "run")
    assert engine.num_requests == 0
    assert {**joined, "timing": None} == {**whole, "timing": None}
    read = [(tmp_path / name / "generations.jsonl").read_bytes() for name in ("whole", "run")]
    assert read[0] == read[1]


def test_a_join_asks_what_no_part_has_answered(tiny_model, tmp_path, use_engine):
    use_engine()
    evaluate(config(tiny_model, shard=Part(1, 3)), tmp_path / "run")
    engine = use_engine()
    results = evaluate(config(tiny_model), tmp_path / "run")
    assert engine.num_requests == 32
    assert results["summary"]["accuracy_at_longest"] == 1.0


def test_parts_of_another_run_or_at_work_are_not_joined(tiny_model, tmp_path, use_engine):
    use_engine()
    evaluate(config(tiny_model, samples=5, shard=Part(0, 2)), tmp_path / "run")
    with pytest.raises(UserError, match="samples 5"):
        evaluate(config(tiny_model), tmp_path / "run")
    part = tmp_path / "run/shards/00000-of-00002"
    settings = json.loads((part / "run.json").read_text())["settings"]
    with open_run_folder(part, settings), pytest.raises(UserError, match="another run is writing"):
        evaluate(config(tiny_model, samples=5), tmp_path / "run")


def test_a_trace_is_reviewed_where_the_form_has_one(tiny_model, tmp_path, use_engine):
    use_engine(form="lean", respond=lambda prompt, response: response.replace("enter the loop", "do not enter", 1))
    results = evaluate(config(tiny_model, form="lean", tasks=("length_int",)), tmp_path / "run")
    steps = results["tasks"]["length_int"]["cells"]["5"]["steps"]
    assert sum(steps["kinds"].values()) == 12
    assert steps["kinds"] == {"wrong trace, right answer": 12}
    assert steps["iterations"] == {
        **{"mean": 4.0, "true_mean": 5.0, "fewer": 12, "equal": 0, "more": 0},
        "relative_error": pytest.approx(0.2),
    }
    record = json.loads((tmp_path / "run/generations.jsonl").read_text().splitlines()[0])
    assert record["trace"]["error"]["kind"] == "loop stopped early"
    assert record["text"].splitlines()[record["trace"]["error"]["line"] - 1] == "do not enter"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"samples": 13}, "samples 12"),
        ({"form": "rule"}, "form 'direct'"),
        ({"tasks": ("coin_flip",)}, "tasks"),
        ({"dtype": "bf16"}, "dtype 'auto'"),
    ],
)
def test_a_folder_holds_one_run(tiny_model, tmp_path, use_engine, changes, message):
    use_engine()
    evaluate(config(tiny_model), tmp_path / "run")
    with pytest.raises(UserError, match=message):
        evaluate(config(tiny_model, **changes), tmp_path / "run")


def test_another_model_or_engine_is_refused(tiny_model, tmp_path, use_engine):
    use_engine()
    evaluate(config(tiny_model), tmp_path / "run")
    other = shutil.copytree(tiny_model, tmp_path / "other")
    (other / "megatron_rfft.json").unlink()
    (other / "config.json").write_text((other / "config.json").read_text().replace("1024", "512"))
    with pytest.raises(UserError, match="was begun with model"):
        evaluate(config(other, form="direct"), tmp_path / "run")
    (tmp_path / "run/results.json").unlink()
    generations = tmp_path / "run/generations.jsonl"
    generations.write_bytes(generations.read_bytes().splitlines(keepends=True)[0])
    use_engine().version = "oracle 2"
    with pytest.raises(UserError, match="'oracle 1', this run has 'oracle 2'"):
        evaluate(config(tiny_model), tmp_path / "run")


def test_a_run_without_answers_is_no_run_yet(tiny_model, tmp_path, use_engine):
    use_engine(lambda prompt, response: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        evaluate(config(tiny_model), tmp_path / "run")
    use_engine()
    assert evaluate(config(tiny_model, samples=5), tmp_path / "run")["settings"]["samples"] == 5


def test_a_folder_with_other_files_is_left_alone(tiny_model, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(UserError, match=r"holds notes\.txt"):
        evaluate(config(tiny_model), tmp_path)
    assert [entry.name for entry in tmp_path.iterdir()] == ["notes.txt"]


def test_changed_answers_are_noticed(tiny_model, tmp_path, use_engine):
    use_engine()
    evaluate(config(tiny_model), tmp_path / "run")
    generations = tmp_path / "run/generations.jsonl"
    generations.write_text(generations.read_text().replace("wrong", "correct") + "\n")
    with pytest.raises(UserError, match=r"generations\.jsonl has .* bytes"):
        evaluate(config(tiny_model), tmp_path / "run")


def test_two_runs_at_once_in_one_folder_are_refused(tiny_model, tmp_path, use_engine):
    use_engine()
    with open_run_folder(tmp_path / "run", {}), pytest.raises(UserError, match="another run is writing"):
        evaluate(config(tiny_model), tmp_path / "run")


def test_n_says_where_fewer_questions_exist(tiny_model, tmp_path, use_engine):
    use_engine()
    asked = config(tiny_model, tasks=("get_digit_int",), lengths=(1, 4, 10**6), samples=40)
    results = evaluate(asked, tmp_path / "run")
    task = results["tasks"]["get_digit_int"]
    assert task["cells"]["1"]["n"] < 40 == task["cells"]["4"]["n"]
    assert task["left_out"] == [10**6]


@pytest.mark.parametrize(
    ("task", "length"),
    [
        ("length_int", 4),
        ("length_int", 3),
        ("make_array_zero_by_subtracting_equal_amounts", 3),
        ("remove_element+rename", 2),
    ],
)
def test_questions_are_distinct_and_those_of_a_corpus(task, length):
    """All that there are (4), not quite (3): a corpus of them has the same."""
    examples = draw_examples(load_task(task), length, 100, "test", "direct")
    assert len({repr(example.arguments) for example in examples}) == len(examples)
    assert [example.index for example in examples] == plan_cell(task, length, 100, "test").indices.tolist()
    assert [load_task(task).example(length, "test", example.index, "direct") for example in examples] == examples


def test_the_models_context_caps_the_budget(tiny_model, tmp_path, use_engine):
    small = shutil.copytree(tiny_model, tmp_path / "small")
    (small / "megatron_rfft.json").unlink()
    positions = 100
    (small / "config.json").write_text((small / "config.json").read_text().replace("1024", str(positions)))
    use_engine(lambda prompt, response: None)
    results = evaluate(config(small, form="direct", tasks=("coin_flip",), lengths=(1, 6)), tmp_path / "run")
    assert [cell["capped"] for cell in results["tasks"]["coin_flip"]["cells"].values()] == [12, 12]
    records = [json.loads(line) for line in (tmp_path / "run/generations.jsonl").read_text().splitlines()]
    assert all(len(record["prompt"]) + record["num_tokens"] <= positions for record in records if record["budget"])
    assert any(record["budget"] == 0 and record["outcome"] == "token_limit" for record in records)
