#!/usr/bin/env python3
"""Tokenize corpora, JSONL or Parquet files, or a preset, into a Megatron indexed binary with loss boundaries.

Writes PREFIX.bin/.idx, the loss boundary of each document (PREFIX.docs.npy), a manifest and the tokenizer. Run again
after an interruption it continues, and ends in the same bytes, whatever the number of workers or parts; a finished data
set of the same inputs is left as it is.
"""

import json
import sys
from argparse import ArgumentParser, Namespace
from dataclasses import replace
from pathlib import Path

from megatron_rfft.common.cli import add_task_file, make_parser, run_command
from megatron_rfft.common.errors import UserError
from megatron_rfft.common.parts import Part
from megatron_rfft.corpus import corpus_config, load_preset, preset_names
from megatron_rfft.data.engines import ENGINES
from megatron_rfft.data.preview import preview
from megatron_rfft.data.records import Fields
from megatron_rfft.data.sources import Source, open_inputs, open_preset
from megatron_rfft.data.splits import warn_of_tokenized
from megatron_rfft.data.tokenize import Options, tokenize
from megatron_rfft.tasks import FORMS, SPLITS, load_task_files

EXAMPLE = (
    "data_prep/tokenize_corpus.py --input runs/corpus-rule --tokenizer runs/tokenizer.model --output runs/rule\n"
    "  data_prep/tokenize_corpus.py --preset rf-pretrain --tokenizer Qwen2.5-1.5B --workers 8 --output runs/pretrain\n"
    "  data_prep/tokenize_corpus.py --input 'chats/*.jsonl.zst' --prompt-field question --response-field answer \\\n"
    "      --chat --on-bad skip --tokenizer Qwen2.5-1.5B-Instruct --output runs/chats\n"
    "  data_prep/tokenize_corpus.py --input gsm8k.jsonl --messages --task-name gsm8k --output runs/gsm8k \\\n"
    "      --tokenizer Qwen2.5-7B-Instruct"
)
FIELD_KEYS = ("task", "length", "form", "split")
PRESET_KEYS = ("tasks", "lengths", "samples", "split", "form")


def _parser() -> ArgumentParser:
    parser = make_parser(__doc__, EXAMPLE)
    add = parser.add_argument
    add("--input", nargs="+", metavar="PATH", help="corpus folders, .jsonl (.gz, .zst) or .parquet files, patterns")
    add("--preset", metavar="NAME", help=f"or a corpus that is made on the spot: {', '.join(preset_names())}, or YAML")
    add("--tasks", help="of the preset, instead of its own: names as generate.py takes them")
    add("--lengths", help="of the preset, instead of its own")
    add("--samples", type=int, metavar="N", help="of the preset, instead of its own")
    add("--split", choices=SPLITS, help="of the preset, instead of its own")
    add("--form", choices=FORMS, help="of the preset, instead of its own")
    add_task_file(parser, "for the preset")
    add("--prompt-field", metavar="NAME", default="prompt", help="field of the prompt")
    add("--response-field", metavar="NAME", default="response", help="field of the response")
    add(
        "--messages",
        nargs="?",
        const="messages",
        metavar="NAME",
        help="records are conversations, a list of {role, content} in this field (messages): the last message, the "
        "assistant's, is learned, all before it are the prompt; implies --chat",
    )
    for key in FIELD_KEYS:
        add(
            f"--{key}-field",
            metavar="NAME",
            default=key,
            help=f"field of the {key}, which may be absent; '': no field is",
        )
    add("--task-name", metavar="NAME", help="task of records that name none (conversations: general)")
    add("--tokenizer", type=Path, required=True, help="HF folder (tokenizer.json) or SentencePiece .model")
    add("--chat", action="store_true", help="put each prompt into the chat template, as the user's message")
    add("--bos", action="store_true", help="begin each document with the tokenizer's token of the beginning")
    add("--stop-token", metavar="TOKEN", help="ends each response (default: the tokenizer's end of sequence)")
    add("--engine", choices=ENGINES, default="auto", help="auto: fastokens where it gives the ids of tokenizers")
    add("--max-tokens", type=int, metavar="N", help="most tokens of a document (default: no limit)")
    add("--too-long", choices=("fail", "skip"), default="fail", help="documents over it are refused or left out, whole")
    add("--on-bad", choices=("fail", "skip"), default="fail", help="broken records are refused or left out")
    add("--output", type=Path, metavar="PREFIX", help="prefix of the files to write")
    add("--workers", type=int, metavar="N", default=1, help="processes")
    add("--shard", metavar="I/N", help="make part I of N (from 0): the rest is for other runs; the last one joins them")
    add("--dry-run", action="store_true", help="show the first document and statistics of a sample; write nothing")
    add("--json", action="store_true", help="print the result as JSON")
    return parser


def _source(options: Namespace) -> Source:
    if (options.input is None) == (options.preset is None):
        raise UserError("give either --input or --preset")
    overrides = {key: value for key in PRESET_KEYS if (value := getattr(options, key)) is not None}
    if options.preset is not None:
        load_task_files(options.task_file)
        return open_preset(corpus_config({**load_preset(options.preset), **overrides}))
    if overrides:
        raise UserError(f"--{next(iter(overrides))} is for a preset; give --preset, or leave it out")
    return open_inputs(options.input, options.workers)


def main() -> None:
    parser = _parser()
    arguments = parser.parse_args()
    if arguments.output is None and not arguments.dry_run:
        parser.error("give --output PREFIX")
    part = Part.parse(arguments.shard) if arguments.shard else None
    options = Options(
        arguments.tokenizer,
        chat=arguments.chat or arguments.messages is not None,
        bos=arguments.bos,
        stop_token=arguments.stop_token,
        max_tokens=arguments.max_tokens,
        skip_too_long=arguments.too_long == "skip",
        fields=Fields(
            arguments.prompt_field,
            arguments.response_field,
            skip_bad=arguments.on_bad == "skip",
            messages=arguments.messages,
            task=arguments.task_name,
            **{f"{key}_field": getattr(arguments, f"{key}_field") for key in FIELD_KEYS},
        ),
        engine=arguments.engine,
    )
    if arguments.preset is not None and options.fields != replace(Fields(), skip_bad=options.fields.skip_bad):
        raise UserError("a preset's records have fields of their own; leave --messages, --task-name and --*-field out")
    source = _source(arguments)
    if arguments.dry_run:
        preview(source, options, as_json=arguments.json)
        return
    _report(tokenize(source, options, arguments.output, arguments.workers, part), arguments)


def _report(manifest: dict | None, arguments: Namespace) -> None:
    if manifest is None:
        unfinished = {"output": str(arguments.output), "part": arguments.shard, "finished": False}
        plain = f"part {arguments.shard} is done, others are missing: {arguments.output}"
        print(json.dumps(unfinished) if arguments.json else plain)
        return
    if warning := warn_of_tokenized(manifest, arguments.output):
        print(warning, file=sys.stderr)
    counts = {**manifest["counts"], "max_document_tokens": manifest["config"]["max_tokens"]}
    skipped = manifest["skipped"]
    if arguments.json:
        print(json.dumps({"output": str(arguments.output), **counts, "skipped": skipped, "engine": manifest["engine"]}))
        return
    for what in ("bad", "too_long"):
        if skipped[what]:
            print(f"left out: {skipped[what]:,} {what.replace('_', ' ')}")
    for message in skipped["first"]:
        print(f"  {message}")
    print(f"wrote {arguments.output}: " + ", ".join(f"{value:,} {name}" for name, value in counts.items()))


if __name__ == "__main__":
    run_command(main)
