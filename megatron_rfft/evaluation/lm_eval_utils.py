"""What the tasks beside this file call: their questions, and this project's scoring. Needs megatron_rfft to import."""

import json
from pathlib import Path
from typing import Any

import datasets

from megatron_rfft.tasks.answers import check_answer


def load(questions: str, **_: Any) -> dict[str, datasets.Dataset]:
    """The questions in the file of that name beside this one, as lm-eval's test split."""
    lines = (Path(__file__).parent / questions).read_text(encoding="utf-8").splitlines()
    return {"test": datasets.Dataset.from_list([json.loads(line) for line in lines])}


def score(doc: dict[str, Any], results: list[str]) -> dict[str, float]:
    """1 for an answer that ends in the one line ``So the answer is ...`` with the right value, else 0."""
    return {"accuracy": float(check_answer(results[0], doc["answer"]))}
