"""Packed or one document a sequence: the same documents give the same loss and gradient, on the real model."""

import json

import pytest
import yaml

from megatron_rfft.corpus import CorpusConfig, generate_corpus
from megatron_rfft.data.dataset import PackedDataset
from megatron_rfft.tokenization.tokenize import tokenize_corpus
from tests.conftest import ROOT, torchrun
from tests.training.conftest import small_config

SEQUENCE = 384


def test_packed_and_unpacked_steps_agree(small_data, tmp_path):
    """One step over a whole epoch each: normalized by the global number of target tokens, padding counts nowhere."""
    corpus, prefix = tmp_path / "corpus", tmp_path / "few"
    generate_corpus(CorpusConfig({"coin_flip": (1, 2, 4), "length_int": (2, 3)}, 6, split="train", form="lean"), corpus)
    tokenize_corpus(corpus, small_data.tokenizer, prefix)
    config = tmp_path / "few.yaml"
    config.write_text(yaml.safe_dump(small_config(prefix, tmp_path / "run")))
    jobs, sequences = [], {}
    for packed in (True, False):
        dataset = PackedDataset([prefix], SEQUENCE, seed=1234, packed=packed)
        sequences[packed] = dataset.epoch_length
        options = {
            "data.packed": packed,
            "batch.global_batch_size": dataset.epoch_length,
            "batch.micro_batch_size": 1,
            "run.steps": 1,
            "optimizer.warmup_steps": 0,
            "run.output": tmp_path / f"packed-{packed}",
        }
        words = [word for key, value in options.items() for word in (f"--{key}", str(value).replace("True", "true"))]
        jobs.append({"name": str(packed), "config": str(config), "overrides": words, "attempts": [None]})
    assert sequences[True] < sequences[False] == len(dataset.lengths)  # several documents do share a sequence
    file = tmp_path / "jobs.json"
    file.write_text(json.dumps(jobs))
    torchrun(1, ROOT / "tests/training/worker.py", file)
    results = json.loads(file.with_suffix(".results.json").read_text())
    packed, unpacked = results["True"][0][0], results["False"][0][0]
    assert packed[0] == pytest.approx(unpacked[0], abs=1e-5)
    assert packed[1] == pytest.approx(unpacked[1], rel=1e-4)
