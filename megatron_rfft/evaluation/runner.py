"""An evaluation from the questions to the results; killed anywhere it continues, run again it returns at once."""

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

from megatron_rfft.common.errors import CommandFailed, UserError
from megatron_rfft.common.number_formats import NUMBER_FORMATS
from megatron_rfft.common.progress import progress_bar
from megatron_rfft.common.restart import Part
from megatron_rfft.evaluation.engines import (
    DTYPES,
    Completion,
    Engine,
    EngineOptions,
    Request,
    Start,
    TextCompletion,
    VllmOptions,
)
from megatron_rfft.evaluation.metrics import score_cell, summarize_run, summarize_task
from megatron_rfft.evaluation.model import AnyModel
from megatron_rfft.evaluation.questions import (
    BUDGET_FACTOR,
    BUDGET_MARGIN,
    THINKING_BUDGET,
    Lengths,
    Question,
    draw_cells,
    lengths_as_json,
    lengths_of,
    prepare_questions,
    prepare_texts,
)
from megatron_rfft.evaluation.run_folder import RunFolder, format_record, open_run_folder, shard_path
from megatron_rfft.evaluation.steps import review_example
from megatron_rfft.tasks import FORMS, SPLITS, Task, load_task
from megatron_rfft.tokenization.tokenizers import Tokenizer, load_tokenizer

Record = dict[str, Any]

TRUE_LINES = 8
"""Of the true trace, behind the first error of a sample answer."""


@dataclass(frozen=True)
class EvaluationConfig:
    """What to measure. Raises UserError for a value outside its choices."""

    model: Path | str
    """HF folder; for a server the name of a served model, or the address of a server that has just one."""
    tasks: tuple[str, ...]
    lengths: Lengths
    """Those that a task does not have are left out and named in the results."""
    samples: int = 100
    """Questions per task and length."""
    form: str | None = None
    """Prompt form; None takes the one that the model's manifest names."""
    chat: bool | None = None
    """Whether prompts go into the tokenizer's chat template; None: as the model's manifest says, without one: no."""
    split: str = "test"
    engine: EngineOptions = field(default_factory=VllmOptions)
    """What generates the answers, with its options."""
    dtype: str = "auto"
    max_tokens: int | None = None
    """The budget of every answer; None: from the true answer's length, THINKING_BUDGET where the model thinks first."""
    shard: Part | None = None
    """Answer only this part of the questions; a run without it joins the parts."""

    def __post_init__(self):
        choices = {"split": SPLITS, "dtype": DTYPES, "form": (None, *FORMS)}
        for name, allowed in choices.items():
            if (value := getattr(self, name)) not in allowed:
                raise UserError(f"no {name} {value!r}; choose one of {', '.join(filter(None, allowed))}")
        if self.samples < 1:
            raise UserError(f"samples is {self.samples}; ask at least 1 question per task and length")
        if self.max_tokens is not None and self.max_tokens < 1:
            raise UserError(f"max_tokens is {self.max_tokens}; give at least 1")


def evaluate(config: EvaluationConfig, output: Path | str) -> dict[str, Any]:
    """Run or continue an evaluation in the folder ``output`` and return its results.

    With a shard only that part of the questions is answered, in a folder within ``output``, and not scored. Without
    one, the answers of all shards are taken as they are, and what is missing is asked.

    Raises UserError for wrong input, and where ``output`` holds a run with other settings.
    """
    model = config.engine.open_model(config.model)
    form = config.form or model.form
    if form is None:
        raise UserError(f"{config.model} does not say which form it was trained on; give --form ({', '.join(FORMS)})")
    chat = model.chat if config.chat is None else config.chat
    tasks = [load_task(name) for name in dict.fromkeys(config.tasks)]
    settings = {**_settings(config, model, form, tasks), "chat": chat}
    if config.shard:
        output = shard_path(output, config.shard)
        settings["shard"] = [config.shard.number, config.shard.count]
    with open_run_folder(output, settings) as folder:
        if (results := folder.finished_results()) is not None:
            return results
        return _continue(config, model, form, tasks, folder)


def _continue(
    config: EvaluationConfig, model: AnyModel, form: str, tasks: list[Task], folder: RunFolder
) -> dict[str, Any]:
    chat = folder.settings["chat"]
    drawn = [draw_cells(task, config.lengths, config.samples, config.split, form) for task in tasks]
    examples = [example for cells in drawn for part in cells.values() for example in part]
    tokenizer = load_tokenizer(model.tokenizer) if model.tokenizer else None
    max_positions = config.engine.max_positions(model)
    if tokenizer is None:
        questions = prepare_texts(examples, config.max_tokens, max_positions)
    else:
        room = max_positions or sys.maxsize
        questions = prepare_questions(examples, tokenizer, room, chat, config.max_tokens, model.bos_id)
        if all(question.request.max_tokens == 0 for question in questions):
            raise UserError(f"every prompt fills the {max_positions} positions of {config.model}; ask shorter ones")
    if config.shard:  # every n-th, so that all parts are equally long
        questions = questions[config.shard.number :: config.shard.count]
    records = {} if config.shard else folder.read_shards()
    records |= folder.read_generations()
    start_engine = partial(
        _start_engine, config=config, model=model, tokenizer=tokenizer, chat=chat, max_positions=max_positions
    )
    timing = _answer_missing(questions, records, folder, start_engine, tokenizer)
    ordered = [records[question.example.id] for question in questions]
    truths = {question.example.id: question.example.response for question in questions}
    sections = {
        "settings": folder.settings,
        "model": model.describe(),
        "engine": folder.engine,
        "timing": timing,
        **({} if config.shard else _score(ordered, truths, tasks, model, config.lengths)),
    }
    return folder.finish(ordered, sections)


def _settings(config: EvaluationConfig, model: AnyModel, form: str, tasks: list[Task]) -> dict[str, Any]:
    """All that decides the answers: a folder holds one run, and a run one of these."""
    return {
        "model": model.identity,
        "form": form,
        "split": config.split,
        "tasks": {task.name: task.version for task in tasks},
        "lengths": lengths_as_json(config.lengths),
        "samples": config.samples,
        "engine": config.engine.name,
        "dtype": NUMBER_FORMATS.get(config.dtype, config.dtype),
        "budget": _budget(config, model),
        **config.engine.deciding(),
        **({} if model.bos_id is None else {"bos_id": model.bos_id}),
    }


def _budget(config: EvaluationConfig, model: AnyModel) -> dict[str, Any]:
    if config.max_tokens is not None:
        return {"max_tokens": config.max_tokens}
    unit = {} if model.tokenizer else {"unit": "bytes"}
    return {"factor": BUDGET_FACTOR, "margin": BUDGET_MARGIN, "thinking": THINKING_BUDGET, **unit}


def _answer_missing(
    questions: list[Question],
    records: dict[str, Record],
    folder: RunFolder,
    start_engine: Callable[[list[Request]], Engine],
    tokenizer: Tokenizer | None,
) -> dict[str, Any]:
    """Add a record for each question that has none, on disk as it arrives; return this session's timing.

    Raises CommandFailed if the engine gave up on some: they are asked when the run is begun again.
    """
    # Where the prompt alone fills the model's context there is nothing to ask.
    unanswerable = [q for q in questions if q.request.max_tokens == 0 and q.example.id not in records]
    answerable = [q for q in questions if q.request.max_tokens > 0]
    requests = [question.request for question in answerable]
    finished = {position for position, q in enumerate(answerable) if q.example.id in records}
    engine = None
    if len(finished) < len(requests):
        engine = start_engine(requests)
        folder.set_engine(engine.describe())
    num_tokens, start = 0, time.monotonic()
    with (
        folder.open_for_append() as handle,
        progress_bar(len(questions), "evaluate", "answers", initial=len(records)) as bar,
    ):
        completions = engine.generate(requests, finished) if engine else ()
        answers = ((answerable[c.position], *_read(c, tokenizer), c.budget) for c in completions)
        for question, text, count, stopped, cut in chain(((q, "", 0, False, None) for q in unanswerable), answers):
            record = records[question.example.id] = _judge(question, text, count, stopped, cut)
            handle.write(format_record(record))
            num_tokens += record["num_tokens"] or 0
            bar.update()
    seconds = time.monotonic() - start
    if missing := sum(question.example.id not in records for question in questions):
        why = f" (the last reason: {engine.unanswered[-1]})" if engine and engine.unanswered else ""
        raise CommandFailed(
            f"{missing} of {len(questions)} questions have no answer{why}; run the same command again to ask them"
        )
    return {
        "seconds": round(seconds, 1),
        "answers": len(answerable) - len(finished),
        "generated_tokens": num_tokens,
        "tokens_per_second": round(num_tokens / seconds, 1),
        **(engine.statistics() if engine else {}),
    }


def _start_engine(
    requests: list[Request],
    config: EvaluationConfig,
    model: AnyModel,
    tokenizer: Tokenizer | None,
    chat: bool,
    max_positions: int | None,
) -> Engine:
    stop_id = tokenizer.stop_id if tokenizer else None
    start = Start(
        dtype=config.dtype,
        stop_id=stop_id,
        other_stops=tuple(token for token in model.declared_stops if token != stop_id),
        max_length=max(len(request.prompt_ids) + request.max_tokens for request in requests),
        max_positions=max_positions,
        chat=chat,
    )
    return config.engine.start(model, start)


def _read(completion: Completion | TextCompletion, tokenizer: Tokenizer | None) -> tuple[str, int | None, bool]:
    """An answer's text, its tokens with the stop token, and whether the model ended it."""
    if isinstance(completion, TextCompletion):
        return completion.text, completion.num_tokens, completion.stopped
    num_tokens = len(completion.token_ids) + completion.stopped
    return tokenizer.decode(completion.token_ids), num_tokens, completion.stopped


def _judge(question: Question, text: str, num_tokens: int | None, stopped: bool, cut: int | None) -> Record:
    """The record of one answer; ``cut`` is what a server's context left of its budget.

    An answer that was cut at its budget is never right: it did not say that it is done.
    """
    example = question.example
    trace = review_example(example, text, stopped)
    if not stopped:
        outcome = "token_limit"
    else:
        outcome = "correct" if load_task(example.task).check(text, example.answer) else "wrong"
    return {
        "id": example.id,
        "task": example.task,
        "length": example.length,
        "index": example.index,
        "outcome": outcome,
        "answer": example.answer,
        "num_tokens": num_tokens,
        "budget": question.request.max_tokens if cut is None else cut,
        "capped": question.capped or cut is not None,
        "prompt": example.prompt,
        "text": text,
        **({} if trace is None else {"trace": trace}),
    }


def _score(
    ordered: list[Record], truths: dict[str, str], tasks: list[Task], model: AnyModel, lengths: Lengths
) -> dict[str, Any]:
    """The results' sections ``tasks`` (cells by length, summary, sample answers) and ``summary``."""
    scored = {}
    for task in tasks:
        by_length: dict[int, list[Record]] = {}
        for record in ordered:
            if record["task"] == task.name:
                by_length.setdefault(record["length"], []).append(record)
        cells = {length: score_cell(records) for length, records in by_length.items()}
        scored[task.name] = {
            "version": task.version,
            "trained_lengths": model.trained_lengths(task.name),
            "left_out": [length for length in lengths_of(lengths, task.name) if length not in cells],
            "summary": summarize_task(cells),
            "cells": {str(length): cell for length, cell in cells.items()},
            "samples": _samples([record for records in by_length.values() for record in records], truths),
        }
    return {"tasks": scored, "summary": summarize_run({name: task["summary"] for name, task in scored.items()})}


def _samples(records: list[Record], truths: dict[str, str]) -> dict[str, Record | None]:
    """The longest question that was answered correctly, and the shortest that was not; None where there is none."""
    correct = [record for record in records if record["outcome"] == "correct"]
    failed = [record for record in records if record["outcome"] != "correct"]
    chosen = {
        "correct": max(correct, key=lambda record: record["length"], default=None),
        "failed": min(failed, key=lambda record: record["length"], default=None),
    }
    return {name: record and _with_truth(record, truths[record["id"]]) for name, record in chosen.items()}


def _with_truth(record: Record, true_trace: str) -> Record:
    """The record of an answer that left its true trace, with the true lines (``true_after``) behind its first error."""
    if not (error := (record.get("trace") or {}).get("error")):
        return record
    after = true_trace.split("\n")[error["line"] : error["line"] + TRUE_LINES]
    return {**record, "trace": {**record["trace"], "true_after": after}}
