"""How a prompt begins and an answer ends: as the model's training or its own generation config says."""

import shutil

import pytest

from megatron_rfft.common.errors import UserError
from megatron_rfft.common.files import write_json
from megatron_rfft.common.manifest import write_manifest
from megatron_rfft.evaluation.engines import Completion, Engine, HfOptions, Request, Start
from megatron_rfft.evaluation.model import open_model
from megatron_rfft.evaluation.runner import EvaluationConfig, evaluate
from megatron_rfft.evaluation.table import format_table, warn_of
from megatron_rfft.tokenization.tokenizers import load_tokenizer

BOS = 7


class Recorder(Engine):
    """Notes what it was made with and asked; every second answer is right, the others run on, or all of them do."""

    name, version, dtype, device = "recorder", "recorder 1", "float32", "cpu"

    def __init__(self, tokenizer, runs_on):
        self.tokenizer, self.runs_on, self.requests, self.start = tokenizer, runs_on, [], None

    def generate(self, requests, finished=()):
        self.requests = list(requests)
        for position, request in enumerate(requests):
            if self.runs_on or position % 2:
                yield Completion(position, [5] * request.max_tokens, stopped=False)
            else:
                yield Completion(position, self.tokenizer.encode("So the answer is True"), stopped=True)


@pytest.fixture
def record(monkeypatch, tiny_model):
    def install(runs_on=False) -> Recorder:
        engine = Recorder(load_tokenizer(tiny_model), runs_on)

        def load(options, folder, start):
            engine.start = start
            return engine

        monkeypatch.setattr(HfOptions, "load", load)
        return engine

    return install


def copy_of(model, folder, manifest: dict | None, stops=None):
    """The model with another manifest of ours, or none, and the stop tokens of its generation config."""
    shutil.copytree(model, folder)
    (folder / "megatron_rfft.json").unlink()
    write_json(folder / "generation_config.json", {"eos_token_id": stops})
    if manifest is not None:
        write_manifest(folder / "megatron_rfft.json", "model", list(folder.iterdir()), **manifest)
    return folder


def ask(model, output, **changes):
    options = {"tasks": ("coin_flip",), "lengths": (3,), "samples": 8, "form": "direct", **changes}
    return evaluate(EvaluationConfig(model=model, engine=HfOptions(), **options), output)


def test_a_model_trained_with_a_beginning_token_is_asked_with_it(tiny_model, tmp_path, record):
    engine = record()
    model = copy_of(tiny_model, tmp_path / "model", {"form": "direct", "bos_id": BOS})
    results = ask(model, tmp_path / "run")
    assert {request.prompt_ids[0] for request in engine.requests} == {BOS}
    assert results["settings"]["bos_id"] == BOS
    engine = record()
    results = ask(tiny_model, tmp_path / "plain")
    assert {engine.tokenizer.decode(request.prompt_ids)[:3] for request in engine.requests} == {"Q: "}
    assert "bos_id" not in results["settings"]
    with pytest.raises(UserError, match="bos_id"):
        ask(copy_of(tiny_model, tmp_path / "other", {"form": "direct"}), tmp_path / "run")


def test_a_foreign_model_ends_by_any_stop_token_that_it_declares(tiny_model, tmp_path, record):
    engine = record()
    model = copy_of(tiny_model, tmp_path / "model", None, stops=[3, 4])
    results = ask(model, tmp_path / "run")
    assert engine.start.other_stops == (3, 4)
    assert results["model"]["declared_stops"] == [3, 4]
    assert open_model(copy_of(tiny_model, tmp_path / "none", None)).declared_stops == []
    # A model trained here declares the token that its tokenizer declares: nothing is added.
    stop_id = load_tokenizer(tiny_model).stop_id
    ours = copy_of(tiny_model, tmp_path / "ours", {"form": "direct"}, stops=stop_id)
    ask(ours, tmp_path / "run of ours")
    assert (engine.start.stop_id, engine.start.other_stops) == (stop_id, ())


def test_transformers_stops_at_the_first_of_them(tiny_model):
    stop_id = load_tokenizer(tiny_model).stop_id
    requests = [Request([number, *range(10, 40)], 60) for number in range(16)]
    plain = HfOptions().load(tiny_model, Start(stop_id=stop_id))
    answers = {done.position: done for done in plain.generate(requests)}
    other = next(done.token_ids[5] for done in answers.values() if len(done.token_ids) > 5)
    engine = HfOptions().load(tiny_model, Start(stop_id=stop_id, other_stops=(other,)))
    for done in engine.generate(requests):
        whole = answers[done.position]
        cut = whole.token_ids.index(other) if other in whole.token_ids else len(whole.token_ids)
        assert done.token_ids == whole.token_ids[:cut]
        assert done.stopped == (whole.stopped or other in whole.token_ids)


def test_a_run_of_nothing_but_token_limits_is_said_loudly(tiny_model, tmp_path, record):
    record(runs_on=True)
    results = ask(tiny_model, tmp_path / "run")
    assert "all 8 answers ran into their token limit" in warn_of(results)
    record()
    results = ask(tiny_model, tmp_path / "other")
    assert warn_of(results) is None
    assert "token limit" in format_table(results)


def test_questions_that_the_model_was_trained_on_are_said_loudly(tiny_model, tmp_path, record):
    record()
    data = {"name": "mixed", "weight": 1.0, "documents": 40, "splits": {"train": 30, "test": 10}}
    told = "trained on mixed, where 10 of 40 documents are instances of split test: the questions of coin_flip may be"
    for name, tasks, split, expected in (
        ("seen", ["coin_flip"], "test", told),
        ("other split", ["coin_flip"], "validation", None),
        ("other task", ["length_int"], "test", None),
    ):
        model = copy_of(tiny_model, tmp_path / name, {"form": "direct", "data": [{**data, "tasks": tasks}]})
        warning = warn_of(ask(model, tmp_path / f"run {name}", split=split))
        assert warning is None if expected is None else expected in warning


def test_a_stop_token_is_read_before_it_is_guessed(tiny_model, tmp_path):
    folder = shutil.copytree(tiny_model, tmp_path / "model")
    (folder / "tokenizer_config.json").unlink()
    for declared in ("~", {"content": "~"}):
        write_json(folder / "special_tokens_map.json", {"eos_token": declared})
        tokenizer = load_tokenizer(folder)
        assert tokenizer.decode([tokenizer.stop_id]) == "~"
    write_json(folder / "tokenizer_config.json", {"eos_token": "!"})
    tokenizer = load_tokenizer(folder)
    assert tokenizer.decode([tokenizer.stop_id]) == "!"
