"""What is asked: fresh questions per task and length, as token ids, each with a token budget."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from megatron_rfft.common.errors import UserError
from megatron_rfft.evaluation.engines import Request
from megatron_rfft.tasks import Example, Task
from megatron_rfft.tasks.instances import DistinctInstances
from megatron_rfft.tasks.task import describe_lengths
from megatron_rfft.tokenization.tokenizers import Tokenizer

BUDGET_FACTOR, BUDGET_MARGIN = 1.5, 32
THINKING_BUDGET = 24_000  # paper, section 4: what DeepSeek-R1 and QwQ were given


Lengths = Sequence[int] | Mapping[str, Sequence[int]]
"""The lengths asked of every task, or of each task by its name."""


def lengths_of(lengths: Lengths, task: str) -> Sequence[int]:
    """The lengths that ``task`` is asked."""
    return lengths[task] if isinstance(lengths, Mapping) else lengths


def lengths_as_json(lengths: Lengths) -> list[int] | dict[str, list[int]]:
    """The lengths as a run notes them: one list where all tasks have the same."""
    if not isinstance(lengths, Mapping):
        return list(lengths)
    noted = {task: list(own) for task, own in lengths.items()}
    first = next(iter(noted.values()), [])
    return first if all(own == first for own in noted.values()) else noted


@dataclass(frozen=True)
class Question:
    """An example, the request that asks it, and whether the model's context cut its budget."""

    example: Example
    request: Request
    capped: bool


def draw_examples(task: Task, length: int, samples: int, split: str, form: str) -> list[Example]:
    """The first ``samples`` examples with different instances; fewer where a short length has no more."""
    instances = DistinctInstances(task, split, length, samples)
    return [task.example(length, split, index, form, kept) for index, kept in instances]


def draw_cells(task: Task, lengths: Lengths, samples: int, split: str, form: str) -> dict[int, list[Example]]:
    """``draw_examples`` by length, without lengths that the task does not have. Raises UserError if none is left."""
    asked = lengths_of(lengths, task.name)
    drawn = (length for length in asked if length in task.valid_lengths)
    cells = {length: draw_examples(task, length, samples, split, form) for length in drawn}
    cells = {length: examples for length, examples in cells.items() if examples}
    if not cells:
        raise UserError(
            f"task {task.name} has no {split} question of the lengths {list(asked)}; its valid_lengths are "
            f"{describe_lengths(task.valid_lengths)}"
        )
    return cells


def token_budget(oracle_tokens: int, form: str) -> int:
    """Tokens that an answer may take whose true trace takes ``oracle_tokens``, the stop token included.

    Room for a detour, none for a model that runs on: such an answer is cut and counted as a token limit. Where a model
    is to think first, nothing follows from the true answer's length: it gets THINKING_BUDGET.
    """
    if form == "cot-zero-shot":
        return THINKING_BUDGET
    return math.ceil(BUDGET_FACTOR * oracle_tokens) + BUDGET_MARGIN


def prepare_questions(
    examples: Iterable[Example],
    tokenizer: Tokenizer,
    max_positions: int,
    chat: bool = False,
    max_tokens: int | None = None,
    bos_id: int | None = None,
) -> list[Question]:
    """Encode prompts and set budgets; prompt and budget together never exceed ``max_positions``.

    Each prompt begins with ``bos_id`` if given. With ``chat`` it is the user's message in the tokenizer's chat
    template. ``max_tokens`` is every answer's budget if given.
    """
    examples = list(examples)
    texts = [tokenizer.chat_prompt(example.prompt) if chat else example.prompt for example in examples]
    begin = [] if bos_id is None else [bos_id]
    prompts = [begin + ids for ids in tokenizer.encode_batch(texts)]
    responses = tokenizer.encode_batch([example.response for example in examples])
    questions = []
    for example, prompt, response in zip(examples, prompts, responses, strict=True):
        budget = max_tokens or token_budget(len(response) + 1, example.form)
        room = max(0, max_positions - len(prompt))
        questions.append(Question(example, Request(prompt, min(budget, room)), capped=room < budget))
    return questions


def prepare_texts(
    examples: Iterable[Example], max_tokens: int | None = None, max_positions: int | None = None
) -> list[Question]:
    """Questions for a server, as text.

    How long the true answer is in its vocabulary is not known here, but at most one token per byte: that is what the
    budget is reckoned from, so that it is never smaller than one in tokens would be. Of ``max_positions``, if given,
    the prompt takes at least one.
    """
    questions = []
    for example in examples:
        budget = max_tokens or token_budget(len(example.response.encode()) + 1, example.form)
        room = budget if max_positions is None else max_positions - 1
        questions.append(Question(example, Request([], min(budget, room), example.prompt), capped=room < budget))
    return questions
