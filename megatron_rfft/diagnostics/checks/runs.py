"""Longer runs on rule traces: loss curves by precision, and resume to the last bit."""

import contextlib
import itertools
import os
import shutil
import statistics
from pathlib import Path
from typing import Any
from unittest import mock

from megatron_rfft.common.restart import in_turn
from megatron_rfft.corpus import CorpusConfig, generate_corpus, read_records
from megatron_rfft.diagnostics.checks.settings import Settings, run_config, trainer_of
from megatron_rfft.tokenization.sentencepiece_train import train_sentencepiece
from megatron_rfft.tokenization.tokenize import tokenize_corpus
from megatron_rfft.training.config import CheckpointSection


def rule_traces(settings: Settings) -> Path:
    """The prefix of the data set: given, or made once in the work folder (traces of three tasks, 700 pieces)."""
    if settings.data is not None:
        return settings.data
    settings.work.mkdir(parents=True, exist_ok=True)
    prefix = settings.work / "traces"
    with in_turn(settings.work / "traces.lock"):
        if not prefix.with_name("traces.manifest.json").is_file():
            lengths = {"coin_flip": range(1, 7), "length_int": range(2, 7), "digit_max_int": range(1, 5)}
            cells = {task: tuple(values) for task, values in lengths.items()}
            corpus = settings.work / "corpus"
            samples = 20 if settings.tiny else 2000
            generate_corpus(CorpusConfig(cells, samples=samples, split="train", form="lean"), corpus)
            records = itertools.islice(read_records(corpus), 3000)
            texts = (text for record in records for text in (record["prompt"], record["response"]))
            train_sentencepiece(texts, 700, settings.work / "tokenizer.model")
            tokenize_corpus(corpus, settings.work / "tokenizer.model", prefix)
    return prefix


def _run(settings: Settings, precision: str, name: str, steps: int, /, **sections: Any):
    """The config of a run on rule traces, and its data set."""
    config = run_config(
        settings,
        {**settings.small, "init_std": 0.05},
        precision,
        name=name,
        steps=steps,
        data={"train": [str(rule_traces(settings))], "sequence_length": 768 if settings.tiny else 1024},
        batch={"global_batch_size": 2 if settings.tiny else 16, "micro_batch_size": 1 if settings.tiny else 4},
        optimizer={"lr": 1e-3, "warmup_steps": min(20, steps // 2), "schedule": "cosine"},
        **sections,
    )
    return config, config.data.open(config.run.seed)


def check_losses(settings: Settings, precision: str) -> dict[str, Any]:
    """Losses of every step from one seed; gaps between precisions are taken in the summary."""
    steps = 4 if settings.tiny else settings.steps
    config, dataset = _run(settings, precision, "losses", steps)
    with trainer_of(config, dataset) as trainer:
        rows = [trainer.train_step() for _ in range(steps)]
    tail = rows[-max(steps // 6, 1) :]
    return {
        "steps": steps,
        "losses": [round(row.loss, 5) for row in rows],
        "tail_steps": len(tail),
        "tail_loss": statistics.mean(row.loss for row in tail),
        "tail_gradient_norm": statistics.mean(row.grad_norm for row in tail),
    }


class _Killed(Exception):
    """Stands for a process that ends between two steps."""


def check_resume(settings: Settings, precision: str) -> dict[str, Any]:
    """Ten steps whole, and the same with a kill after six and the checkpoint of five: must be equal to the last bit."""
    steps, checkpoint, kill = 10, 5, 6
    with mock.patch.dict(os.environ):  # which precision.deterministic changes
        whole = _attempts(settings, precision, "whole", steps, checkpoint, [None])
        killed, resumed = _attempts(settings, precision, "killed", steps, checkpoint, [kill, None])
    expected = whole[0][checkpoint:]
    return {
        "steps": steps,
        "resumed_at": checkpoint,
        "first_steps_equal": killed == whole[0][:kill],
        "largest_loss_difference": max(abs(a[0] - b[0]) for a, b in zip(resumed, expected, strict=True)),
        "bit_equal": resumed == expected,
    }


def _attempts(
    settings: Settings, precision: str, name: str, steps: int, interval: int, kills: list[int | None]
) -> list[list[list[float]]]:
    """One run, killed after each of ``kills`` steps and started again; by attempt and step: loss, gradient norm."""
    from megatron_rfft.training.callbacks import Checkpointing
    from megatron_rfft.training.trainer import Callback

    class Recorder(Callback):
        def __init__(self, last: int | None):
            self.rows: list[list[float]] = []
            self.last = last

        def on_step(self, trainer, metrics) -> None:
            self.rows.append([metrics.loss, metrics.grad_norm])
            if metrics.step == self.last:
                raise _Killed

    output = settings.work / f"resume-{name}"
    shutil.rmtree(output, ignore_errors=True)
    attempts = []
    for last in kills:
        config, dataset = _run(settings, precision, output.name, steps, precision={"deterministic": True})
        recorder = Recorder(last)
        every = CheckpointSection(interval=interval, keep=9, asynchronous=False)
        saving = Checkpointing(output / "checkpoints", every)
        with trainer_of(config, dataset, [saving, recorder]) as trainer, contextlib.suppress(_Killed):
            trainer.run()
        attempts.append(recorder.rows)
    shutil.rmtree(output, ignore_errors=True)
    return attempts
