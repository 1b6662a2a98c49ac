"""Made-up evaluations for tests of the report, and a made-up task of lm-eval."""

from pathlib import Path

from megatron_rfft.common.manifest import write_manifest
from megatron_rfft.evaluation.metrics import score_cell, summarize_run, summarize_task

LM_EVAL_TASK = """\
task: {name}
dataset_path: json
dataset_kwargs: {{data_files: {{test: {file}}}}}
test_split: test
output_type: multiple_choice
doc_to_text: "{{{{question}}}}"
doc_to_choice: "{{{{choices}}}}"
doc_to_target: label
target_delimiter: ""
metric_list: [{{metric: acc, aggregation: mean, higher_is_better: true}}]
metadata: {{version: 1}}
"""
"""A multiple choice task called ``name``, on the questions in ``file``."""


def make_results(
    correct_by_length: dict[int, int],
    trained=(1, 2, 3),
    task="coin_flip",
    n=20,
    form="direct",
    model="0123456789abcdef",
) -> dict:
    """Results of one task as the runner writes them."""
    cells = {}
    for length, correct in correct_by_length.items():
        outcomes = ["correct"] * correct + ["wrong"] * (n - correct)
        cells[length] = score_cell({"outcome": o, "num_tokens": 9, "capped": False} for o in outcomes)
    summary = summarize_task(cells)
    failed = {
        "length": 5,
        "outcome": "wrong",
        "num_tokens": 9,
        "answer": "True",
        "prompt": "Q: <b>?",
        "text": "1 < 2 & so",
    }
    return {
        "kind": "results",
        "format": 1,
        "megatron_rfft": "0.0.0",
        "settings": {
            "form": form,
            "chat": False,
            "split": "test",
            "samples": n,
            "tasks": {task: 1},
            "budget": {"factor": 1.5, "margin": 32},
        },
        "model": {"name": "tiny", "sha256": model},
        "engine": {"name": "hf", "version": "transformers 5", "dtype": "float32", "device": "cpu"},
        "timing": {"seconds": 2.0, "answers": 60, "generated_tokens": 540, "tokens_per_second": 270.0},
        "tasks": {
            task: {
                "version": 1,
                "trained_lengths": list(trained),
                "left_out": [],
                "summary": summary,
                "cells": {str(length): cell for length, cell in cells.items()},
                "samples": {"correct": None, "failed": failed},
            }
        },
        "summary": summarize_run({task: summary}),
    }


def write_run(folder: Path, results: dict) -> Path:
    """A finished evaluation on disk."""
    sections = {key: value for key, value in results.items() if key not in ("kind", "format", "megatron_rfft")}
    folder.mkdir(parents=True)
    write_manifest(folder / "results.json", "results", [], **sections)
    return folder


def traced(error: dict | None, outcome: str, length: int = 5) -> dict:
    """A record of an answer that is a trace, as the runner writes it."""
    text = "1. Initialize\nx = 1\nnow, x = <2>\nreturn x"
    trace = {"error": error, "lines": 5, "iterations": 2, "true_iterations": 3}
    record = {"outcome": outcome, "num_tokens": 9, "capped": False, "length": length, "answer": "1", "prompt": "Q"}
    return {**record, "text": text, "trace": trace}
