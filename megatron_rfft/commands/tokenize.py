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

from megatron_rfft.commands.options import add_json, add_shard, add_task_file, read_shard
from megatron_rfft.common.cli import make_parser
from megatron_rfft.common.errors import UserError
from megatron_rfft.corpus import corpus_config, load_preset, preset_names
from megatron_rfft.data.splits import warn_of_tokenized
from megatron_rfft.tasks import FORMS, SPLITS, load_task_files
from megatron_rfft.tokenization.engines import ENGINES
from megatron_rfft.tokenization.options import Options
from megatron_rfft.tokenization.preview import preview
from megatron_rfft.tokenization.records import Fields
from megatron_rfft.tokenization.sources import Source, open_inputs, open_preset
from megatron_rfft.tokenization.tokenize import tokenize

EXAMPLE = (
    "rfft tokenize --input runs/corpus-rule --tokenizer runs/tokenizer.model --output runs/rule\n"
    "  rfft tokenize --preset rf-pretrain --tokenizer Qwen2.5-1.5B --workers 8 --output runs/pretrain\n"
    "  rfft tokenize --input 'chats/*.jsonl.zst' --prompt-field question --response-field answer \\\n"
    "      --chat --on-bad skip --tokenizer Qwen2.5-1.5B-Instruct --output runs/chats\n"
    "  rfft tokenize --input gsm8k.jsonl --messages --task-name gsm8k --output runs/gsm8k \\\n"
    "      --tokenizer Qwen2.5-7B-Instruct"
)
FIELD_KEYS = ("task", "length", "form", "split")
PRESET_KEYS = ("tasks", "lengths", "samples", "split", "form")


def _parser() -> ArgumentParser:
    parser = make_parser(__doc__, EXAMPLE, "rfft tokenize")
    add = parser.add_argument
    add("--input", nargs="+", metavar="PATH", help="corpus folders, .jsonl (.gz, .zst) or .parquet files, patterns")
    add("--preset", metavar="NAME", help=f"or a corpus that is made on the spot: {', '.join(preset_names())}, or YAML")
    add("--tasks", help="of the preset, instead of its own: names as rfft generate takes them")
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
    add_shard(parser, "make part I of N, the rest is for other runs, and the last one joins them")
    add("--dry-run", action="store_true", help="show the first document and statistics of a sample; write nothing")
    add_json(parser)
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


def main(arguments: list[str] | None = None) -> None:
    parser = _parser()
    given = parser.parse_args(arguments)
    if given.output is None and not given.dry_run:
        parser.error("give --output PREFIX")
    part = read_shard(given.shard)
    options = Options(
        given.tokenizer,
        chat=given.chat or given.messages is not None,
        bos=given.bos,
        stop_token=given.stop_token,
        max_tokens=given.max_tokens,
        skip_too_long=given.too_long == "skip",
        fields=Fields(
            given.prompt_field,
            given.response_field,
            skip_bad=given.on_bad == "skip",
            messages=given.messages,
            task=given.task_name,
            **{f"{key}_field": getattr(given, f"{key}_field") for key in FIELD_KEYS},
        ),
        engine=given.engine,
    )
    if given.preset is not None and options.fields != replace(Fields(), skip_bad=options.fields.skip_bad):
        raise UserError("a preset's records have fields of their own; leave --messages, --task-name and --*-field out")
    source = _source(given)
    if given.dry_run:
        preview(source, options, as_json=given.json)
        return
    _report(tokenize(source, options, given.output, given.workers, part), given)


def _report(manifest: dict | None, given: Namespace) -> None:
    if manifest is None:
        unfinished = {"output": str(given.output), "part": given.shard, "finished": False}
        plain = f"part {given.shard} is finished, others are missing: {given.output}"
        print(json.dumps(unfinished) if given.json else plain)
        return
    if warning := warn_of_tokenized(manifest, given.output):
        print(warning, file=sys.stderr)
    counts = {**manifest["counts"], "max_document_tokens": manifest["config"]["max_tokens"]}
    skipped = manifest["skipped"]
    if given.json:
        print(json.dumps({"output": str(given.output), **counts, "skipped": skipped, "engine": manifest["engine"]}))
        return
    for what in ("bad", "too_long"):
        if skipped[what]:
            print(f"left out: {skipped[what]:,} {what.replace('_', ' ')}")
    for message in skipped["first"]:
        print(f"  {message}")
    print(f"wrote {given.output}: " + ", ".join(f"{value:,} {name}" for name, value in counts.items()))
