#!/usr/bin/env python3
"""Benchmark of the trainer's step against a bare megatron-core loop: the same model, shapes and optimizer, in turn.

The bare loop is what megatron-core needs and no more: GPTModel in DDP, the distributed optimizer, its schedule of
forward and backward passes, tokens drawn on the spot, the loss read once a step. The trainer runs as the training
command runs it, with its callbacks (all but checkpoints). Both live in one process and step in turns, so that what else
the machine does hits both; before, their first losses on one batch are proven equal. The goal is a trainer at most 3 %
slower where computing dominates.
"""

import copy
import json
import os
import platform
import shlex
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass, field, replace
from datetime import date
from functools import partial
from pathlib import Path

import numpy as np
import torch

from megatron_rfft.common.cli import make_parser, run_command
from megatron_rfft.common.errors import CommandFailed, UserError
from megatron_rfft.common.files import write_json
from megatron_rfft.corpus import CorpusConfig, generate_corpus, read_records
from megatron_rfft.diagnostics.checks.provenance import commit
from megatron_rfft.mcore import (
    DEVICE,
    ON_GPU,
    DistributedDataParallel,
    DistributedDataParallelConfig,
    Float16Module,
    PackedSeqParams,
    finalize_model_grads,
    get_forward_backward_func,
    get_megatron_optimizer,
)
from megatron_rfft.models.build import build_model
from megatron_rfft.tokenization.sentencepiece_train import train_sentencepiece
from megatron_rfft.tokenization.tokenize import tokenize_corpus
from megatron_rfft.train import make_callbacks
from megatron_rfft.training.config import TrainConfig
from megatron_rfft.training.config_reader import config_from_dict
from megatron_rfft.training.layout import destroy_parallel, initialize_parallel
from megatron_rfft.training.optimizer import optimizer_settings
from megatron_rfft.training.trainer import Callback, Order, StepMetrics, Trainer

GOAL = 1.03
SIZES = {
    "tiny": {
        "num_layers": 1,
        "hidden_size": 16,
        "ffn_hidden_size": 32,
        "num_attention_heads": 2,
        "num_query_groups": 1,
    },
    "quickstart": {
        "num_layers": 4,
        "hidden_size": 128,
        "ffn_hidden_size": 384,
        "num_attention_heads": 4,
        "num_query_groups": 2,
    },
    "compute": {
        "num_layers": 4,
        "hidden_size": 256,
        "ffn_hidden_size": 768,
        "num_attention_heads": 4,
        "num_query_groups": 2,
    },
}
"""tiny: for tests; quickstart: the README's model; compute: computing dominates, for which the goal holds."""


@dataclass(frozen=True)
class MicroBatch:
    """What one forward pass reads, on the device."""

    tokens: torch.Tensor
    labels: torch.Tensor
    loss_mask: torch.Tensor
    position_ids: torch.Tensor
    packed: PackedSeqParams

    @classmethod
    def drawn(cls, boundaries: np.ndarray, vocab_size: int) -> "MicroBatch":
        """Random tokens in documents that end at ``boundaries``; the loss is taken over all of them."""
        total = int(boundaries[-1])
        tokens = torch.randint(vocab_size, (total,), device=DEVICE)
        starts = np.repeat(boundaries[:-1], np.diff(boundaries))
        positions = torch.from_numpy(np.arange(total) - starts).to(DEVICE)
        return cls(tokens, tokens.roll(-1), torch.ones(total, device=DEVICE), positions, _packed(boundaries))

    @classmethod
    def of_dataset(cls, batch) -> "MicroBatch":
        """A PackedBatch, as the trainer reads it."""
        arrays = (batch.tokens, batch.labels, batch.loss_mask, batch.position_ids)
        return cls(*(torch.from_numpy(array).to(DEVICE) for array in arrays), _packed(batch.cu_seqlens))


def _packed(boundaries: np.ndarray) -> PackedSeqParams:
    ends = torch.from_numpy(boundaries.astype(np.int32)).to(DEVICE)
    longest = int(np.diff(boundaries).max())
    return PackedSeqParams(
        qkv_format="thd", cu_seqlens_q=ends, cu_seqlens_kv=ends, max_seqlen_q=longest, max_seqlen_kv=longest
    )


class BareLoop:
    """The least code that trains with megatron-core; starts from the trainer's weights."""

    def __init__(self, trainer: Trainer):
        self.config = copy.copy(trainer.transformer_config)
        self.vocab_size = trainer.model_config.vocab_size
        (stage,) = build_model(trainer.model_config, self.config)
        stage.load_state_dict(trainer.stages[0].state_dict())
        wrapped = Float16Module(self.config, stage) if self.config.bf16 else stage
        settings = DistributedDataParallelConfig(grad_reduce_in_fp32=True, use_distributed_optimizer=True)
        self.model = DistributedDataParallel(self.config, settings, wrapped)
        optimizer = replace(optimizer_settings(trainer.config, self.config.params_dtype), overlap_param_gather=False)
        self.optimizer = get_megatron_optimizer(optimizer, [self.model], use_gloo_process_groups=False)
        self.config.finalize_model_grads_func = finalize_model_grads
        self.config.grad_scale_func = self.optimizer.scale_loss

    def step(self, micro_batches: list[MicroBatch]) -> float:
        """One optimizer step; the mean loss."""
        self.model.zero_grad_buffer()
        self.optimizer.zero_grad()
        outputs = get_forward_backward_func()(
            forward_step_func=self._forward,
            data_iterator=iter(micro_batches),
            model=self.model,
            num_microbatches=len(micro_batches),
            seq_length=len(micro_batches[0].tokens),
            micro_batch_size=1,
            forward_only=False,
        )
        self.optimizer.step()
        totals = torch.stack([output["totals"] for output in outputs]).sum(dim=0).tolist()
        return totals[0] / totals[1]

    def _forward(self, batches, model):
        batch = next(batches)
        losses = model(
            batch.tokens[None],
            batch.position_ids[None],
            None,
            labels=batch.labels[None],
            packed_seq_params=batch.packed,
        )
        return losses, partial(_loss, batch.loss_mask)


def _loss(mask: torch.Tensor, losses: torch.Tensor):
    total, count = torch.sum(losses.view(-1).float() * mask), mask.sum()
    return total, count.to(torch.int), {"totals": torch.stack([total.detach(), count])}


@dataclass
class Clock:
    """Wall and processor seconds of the stretches between ``start`` and ``stop``."""

    wall: list[float] = field(default_factory=list)
    processor: list[float] = field(default_factory=list)

    def start(self) -> None:
        self._began = (_now(), time.process_time())

    def stop(self) -> None:
        self.wall.append(_now() - self._began[0])
        self.processor.append(time.process_time() - self._began[1])


def _now() -> float:
    torch.cuda.synchronize()
    return time.perf_counter()


class TakeTurns(Callback):
    """Last of the trainer's callbacks: after each of its steps, the bare loop does one of the same shape."""

    order = Order.WATCHING

    def __init__(self) -> None:
        self.trainer_clock, self.bare_clock = Clock(), Clock()
        self.first_losses: list[float] = []

    def on_start(self, trainer: Trainer) -> None:
        self.bare = BareLoop(trainer)
        self.trainer_clock.start()

    def on_step(self, trainer: Trainer, metrics: StepMetrics) -> None:
        self.trainer_clock.stop()
        batch = trainer.config.batch.micro_batch_size
        first = (trainer.step - 1) * trainer.config.batch.global_batch_size
        rows = [range(start, start + batch) for start in range(first, trainer.consumed_samples, batch)]
        shapes = [trainer.dataset.batch(row) for row in rows]
        if not self.first_losses:  # the same batch: the same loss, or it is not the same model
            self.first_losses = [metrics.loss, self.bare.step([MicroBatch.of_dataset(shape) for shape in shapes])]
            self.bare_clock.start()
        else:
            self.bare_clock.start()
            self.bare.step([MicroBatch.drawn(shape.cu_seqlens, self.bare.vocab_size) for shape in shapes])
        self.bare_clock.stop()
        self.trainer_clock.start()


def measure(data: Path, size: str, options, folder: Path) -> dict:
    """Ratios of the trainer's step time to the bare loop's over ``options.steps`` pairs, warm-up left out."""
    config = _config(data, SIZES[size], options, folder / size)
    dataset = config.data.open(config.run.seed)
    model = config.model.resolve(dataset.vocab_size)
    turns = TakeTurns()
    output = Path(config.run.output)
    output.mkdir(parents=True)
    initialize_parallel(config, model)
    Trainer(config, model, dataset, [*make_callbacks(config, None), turns]).run()
    destroy_parallel()
    expected, found = turns.first_losses
    if abs(expected - found) > 1e-3 * expected:
        raise CommandFailed(f"the first losses are {expected} and {found}: the loops train different models")
    result = {
        "size": size,
        "parameters": model.num_parameters(),
        "sequence_length": options.sequence_length,
        "sequences_per_step": options.batch,
        "precision": config.precision.dtype,
        "first_losses": turns.first_losses,
        "pairs": options.steps,
    }
    for name in ("wall", "processor"):
        ours = getattr(turns.trainer_clock, name)[options.warmup :]
        bare = getattr(turns.bare_clock, name)[options.warmup :]
        result[name] = compare(ours, bare)
    return result


def compare(ours: list[float], bare: list[float]) -> dict:
    """Medians, their ratio with a 95 % interval (pairs drawn again 2,000 times), and the quartiles of pairs' ratios."""
    pairs = np.array([ours, bare]).T
    draws = np.random.default_rng(0).integers(len(pairs), size=(2000, len(pairs)))
    medians = np.median(pairs[draws], axis=1)
    low, high = np.quantile(medians[:, 0] / medians[:, 1], [0.025, 0.975])
    quartiles = statistics.quantiles([a / b for a, b in pairs], n=4)
    return {
        "trainer_seconds": round(statistics.median(ours), 4),
        "bare_seconds": round(statistics.median(bare), 4),
        "ratio": round(statistics.median(ours) / statistics.median(bare), 4),
        "ratio_interval": [round(float(low), 4), round(float(high), 4)],
        "pair_ratio_quartiles": [round(value, 4) for value in quartiles],
    }


def _config(data: Path, model: dict, options, output: Path) -> TrainConfig:
    return config_from_dict(
        {
            "run": {"output": str(output), "steps": options.warmup + options.steps},
            "model": dict(model),
            "data": {"train": [str(data)], "sequence_length": options.sequence_length},
            "batch": {"global_batch_size": options.batch, "micro_batch_size": 1},
            "optimizer": {"lr": 1e-4, "schedule": "constant"},
            "precision": {"dtype": "bf16" if ON_GPU else "fp32"},
            "checkpoint": {"interval": 10**6},
        }
    )


def make_data(folder: Path) -> Path:
    """Rule traces of two tasks, tokenized; the prefix of the data set."""
    corpus, tokenizer, prefix = folder / "corpus", folder / "tokenizer.model", folder / "data"
    lengths = {"coin_flip": tuple(range(1, 9)), "length_int": tuple(range(2, 9))}
    generate_corpus(CorpusConfig(lengths, samples=100, split="train", form="lean"), corpus)
    texts = (text for record in read_records(corpus) for text in (record["prompt"], record["response"]))
    train_sentencepiece(texts, 700, tokenizer)
    tokenize_corpus(corpus, tokenizer, prefix)
    return prefix


def machine() -> dict:
    """What the figures depend on."""
    models = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    cpu = models[0].partition(":")[2].strip() if models else platform.machine()
    return {
        "device": torch.cuda.get_device_name() if ON_GPU else f"CPU ({cpu})",
        "cores": len(os.sched_getaffinity(0)),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
    }


def main() -> int:
    """Measure, print or write the record; 1 if the goal is missed."""
    parser = make_parser(__doc__, "python tools/bench_train.py --output tools/benchmarks/train.json")
    parser.add_argument(
        "--size", action="append", choices=SIZES, help="model to measure, may be repeated; left out: compute"
    )
    parser.add_argument("--steps", type=int, metavar="N", default=40, help="pairs of steps to measure")
    parser.add_argument("--warmup", type=int, metavar="N", default=3, help="pairs of steps before")
    parser.add_argument("--sequence-length", type=int, metavar="N", default=512, help="tokens of a sequence")
    parser.add_argument("--batch", type=int, metavar="N", default=4, help="sequences of a step")
    parser.add_argument("--output", type=Path, metavar="FILE", help="write the record there")
    options = parser.parse_args()
    for name, least in (("steps", 2), ("warmup", 1), ("sequence_length", 384), ("batch", 1)):
        if getattr(options, name) < least:
            raise UserError(f"--{name.replace('_', '-')} is {getattr(options, name)}; give {least} or more")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        data = make_data(folder)
        results = [measure(data, size, options, folder) for size in options.size or ["compute"]]
    command = shlex.join(["python", "tools/bench_train.py", *sys.argv[1:]])
    goals = [row["wall"]["ratio"] <= GOAL for row in results if row["size"] == "compute"]
    record = {
        "command": command,
        "date": date.today().isoformat(),
        "commit": commit(),
        "machine": machine(),
        "goal": f"wall ratio of size compute at most {GOAL}",
        "goal_met": all(goals) if goals else None,
        "results": results,
    }
    if options.output:
        write_json(options.output, record)
    print(json.dumps(record, indent=2))
    return 0 if record["goal_met"] in (True, None) else 1


if __name__ == "__main__":
    run_command(main)
