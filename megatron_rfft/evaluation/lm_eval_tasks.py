"""Questions as a task folder of EleutherAI's lm-evaluation-harness: a task per length, a group per task, one over all.

lm-eval gives a task's scoring nothing but text. Two things follow. Its answers have one budget for all questions of a
task and length, the largest that `rfft evaluate` would give. And an answer that is right and then runs on with white
space up to its budget counts as right, where `rfft evaluate` counts a token limit.
"""

import json
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from megatron_rfft.common.files import atomic_write, sha256_file
from megatron_rfft.common.manifest import write_manifest
from megatron_rfft.common.restart import finished_manifest
from megatron_rfft.evaluation.questions import (
    Lengths,
    Question,
    draw_cells,
    lengths_as_json,
    prepare_questions,
    prepare_texts,
)
from megatron_rfft.tasks import load_task
from megatron_rfft.tokenization.tokenizers import load_tokenizer

KIND = "lm-eval tasks"
MANIFEST = "megatron_rfft.json"
UTILS = Path(__file__).with_name("lm_eval_utils.py")
ALL = "megatron_rfft"
NO_LIMIT = 2**31  # of positions: lm-eval knows the model's own

_TASK = """\
task: {task}
task_alias: length {length}
custom_dataset: !function utils.load
dataset_kwargs:
  questions: {questions}
test_split: test
output_type: generate_until
doc_to_text: "{{{{prompt}}}}"
doc_to_target: "{{{{response}}}}"
generation_kwargs:
  until: []
  do_sample: false
  temperature: 0.0
  max_gen_toks: {max_tokens}
process_results: !function utils.score
metric_list:
  - metric: accuracy
    aggregation: mean
    higher_is_better: true
metadata:
  version: {version}
"""
_GROUP = """\
group: {group}
task: [{members}]
aggregate_metric_list:
  - metric: accuracy
    aggregation: mean
    weight_by_size: {weighted}
metadata:
  version: {version}
"""


@dataclass(frozen=True)
class LmEvalConfig:
    """What to ask; the fields are those of an evaluation (``runner.EvaluationConfig``)."""

    tasks: tuple[str, ...]
    lengths: Lengths
    form: str
    samples: int = 100
    split: str = "test"
    tokenizer: Path | None = None
    """HF folder in whose tokens budgets are reckoned; None: in bytes, of which no answer has fewer than tokens."""
    max_tokens: int | None = None
    """The budget of every answer; None: from the true answer's length."""


def write_lm_eval_tasks(config: LmEvalConfig, output: Path) -> dict[str, Any]:
    """Write the task folder ``output`` and return its manifest; a whole one of the same questions is left as it is.

    Raises UserError where a task has no question of these lengths, and where ``output`` holds something else.
    """
    tokenizer = load_tokenizer(config.tokenizer) if config.tokenizer else None
    versions = {name: load_task(name).version for name in dict.fromkeys(config.tasks)}
    inputs = {**asdict(config), "tokenizer": tokenizer.sha256 if tokenizer else None}
    inputs |= {"tasks": versions, "lengths": lengths_as_json(config.lengths), "utils": sha256_file(UTILS)}
    if found := finished_manifest(output / MANIFEST, KIND, inputs):
        return found
    output.mkdir(parents=True, exist_ok=True)
    files = [output / "utils.py"]
    shutil.copyfile(UTILS, files[0])
    groups = {}
    for name in versions:
        cells = draw_cells(load_task(name), config.lengths, config.samples, config.split, config.form)
        members = {}
        for length, examples in cells.items():
            if tokenizer:
                questions = prepare_questions(examples, tokenizer, NO_LIMIT, max_tokens=config.max_tokens)
            else:
                questions = prepare_texts(examples, config.max_tokens)
            task = f"{ALL}_{config.form}_{name}_{length}"
            files += _write_task(output, task, length, versions[name], questions)
            members[task] = len(examples)
        group = f"{ALL}_{config.form}_{name}"
        files.append(_write_group(output / f"{group}.yaml", group, list(members), "true", versions[name]))
        groups[group] = members
    whole = f"{ALL}_{config.form}"
    files.append(_write_group(output / f"{whole}.yaml", whole, list(groups), "false", 1))
    return write_manifest(output / MANIFEST, KIND, files, inputs=inputs, groups=groups)


def _write_task(folder: Path, task: str, length: int, version: int, questions: Sequence[Question]) -> list[Path]:
    """The YAML file and the questions of one task at one length."""
    records = folder / f"{task}.jsonl"
    with atomic_write(records) as handle:
        for question in questions:
            kept = {key: getattr(question.example, key) for key in ("id", "prompt", "response", "answer")}
            handle.write(json.dumps(kept, ensure_ascii=False) + "\n")
    limit = max(question.request.max_tokens for question in questions)
    text = _TASK.format(task=task, length=length, questions=records.name, max_tokens=limit, version=version)
    return [records, _write(folder / f"{task}.yaml", text)]


def _write_group(path: Path, group: str, members: Sequence[str], weighted: str, version: int) -> Path:
    text = _GROUP.format(group=group, members=", ".join(members), weighted=weighted, version=version)
    return _write(path, text)


def _write(path: Path, text: str) -> Path:
    with atomic_write(path) as handle:
        handle.write(text)
    return path
