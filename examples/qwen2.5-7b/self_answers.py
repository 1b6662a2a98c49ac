#!/usr/bin/env python
"""Let a model answer questions whose numbers are known, and keep its right answers as conversations to train on."""

import json
import re
from argparse import Namespace
from pathlib import Path

from megatron_rfft.common.cli import make_parser, run_command
from megatron_rfft.common.errors import UserError
from megatron_rfft.common.files import atomic_write, require_file
from megatron_rfft.common.progress import progress_bar
from megatron_rfft.evaluation.engines import ENGINES, Request, Start
from megatron_rfft.tokenization.tokenizers import load_tokenizer

NUMBER = re.compile(r"-?\d[\d,]*(?:\.\d+)?")


def parse_arguments() -> Namespace:
    parser = make_parser(
        "Ask a chat model each question once (greedy) and write the answers whose last number is the right one, as "
        "JSONL of messages for rfft tokenize --messages. Killed, it continues when it is run again.",
        "python examples/qwen2.5-7b/self_answers.py --model models/Qwen2.5-7B-Instruct --input gsm8k-train.jsonl "
        "--output runs/general/gsm8k.jsonl",
    )
    add = parser.add_argument
    add("--model", type=Path, required=True, help="HF folder of a chat model")
    add("--input", type=Path, required=True, help="JSONL with question and answer, whose last number is the right one")
    add("--output", type=Path, required=True, help="JSONL of messages to write")
    add("--engine", choices=("vllm", "hf"), default="vllm", help="what generates the answers")
    add("--max-tokens", type=int, metavar="N", default=1024, help="budget of an answer; those cut there are left out")
    return parser.parse_args()


def last_number(text: str) -> float | None:
    """The last number in a text, without commas: ``"... #### 1,200"`` gives 1200."""
    found = NUMBER.findall(text)
    return float(found[-1].replace(",", "")) if found else None


def main() -> None:
    options = parse_arguments()
    rows = [json.loads(line) for line in require_file(options.input).read_text(encoding="utf-8").splitlines() if line]
    for number, row in enumerate(rows, 1):
        if last_number(row.get("answer", "")) is None or not row.get("question"):
            raise UserError(f"{options.input}, record {number}: there is no question, or no number in its answer")
    tokenizer = load_tokenizer(options.model)
    prompts = tokenizer.encode_batch([tokenizer.chat_prompt(row["question"]) for row in rows])
    requests = [Request(ids, options.max_tokens) for ids in prompts]
    answers = _ask(options, requests, tokenizer)
    kept = 0
    with atomic_write(options.output) as handle:
        for number, row in enumerate(rows):
            text, stopped = answers[number]
            if stopped and last_number(text) == last_number(row["answer"]):
                turns = (("user", row["question"]), ("assistant", text))
                messages = [{"role": role, "content": content} for role, content in turns]
                handle.write(json.dumps({"messages": messages}, ensure_ascii=False) + "\n")
                kept += 1
    print(f"kept {kept:,} right answers of {len(rows):,}: {options.output}")


def _ask(options: Namespace, requests: list[Request], tokenizer) -> dict[int, tuple[str, bool]]:
    """The answer to each request and whether it ended by itself; on disk as they arrive."""
    file = options.output.with_name(f"{options.output.name}.answers")
    file.parent.mkdir(parents=True, exist_ok=True)
    whole = (
        [line for line in file.read_text(encoding="utf-8").splitlines(True) if line.endswith("\n")]
        if file.is_file()
        else []
    )
    answers = {number: (text, stopped) for number, text, stopped in map(json.loads, whole)}
    if len(answers) == len(requests):
        return answers
    longest = max(len(request.prompt_ids) for request in requests) + options.max_tokens
    engine = ENGINES[options.engine]().load(options.model, Start(stop_id=tokenizer.stop_id, max_length=longest))
    with atomic_write(file) as handle:  # without a last line that a kill cut short
        handle.writelines(whole)
    with (
        open(file, "a", encoding="utf-8", buffering=1) as handle,
        progress_bar(len(requests), "answer", "answers") as bar,
    ):
        bar.update(len(answers))
        for found in engine.generate(requests, answers.keys()):
            answers[found.position] = tokenizer.decode(found.token_ids), found.stopped
            handle.write(json.dumps([found.position, *answers[found.position]], ensure_ascii=False) + "\n")
            bar.update(1)
    return answers


if __name__ == "__main__":
    run_command(main)
