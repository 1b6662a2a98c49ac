#!/usr/bin/env python3
"""Convert checkpoints to Hugging Face folders and back."""

import json
from pathlib import Path

from megatron_rfft.common.cli import make_parser, run_command
from megatron_rfft.common.errors import UserError


def main() -> None:
    """Parse the verb and convert."""
    parser = make_parser(
        "Convert a training checkpoint to a Hugging Face folder (to-hf) or the other way round (from-hf).",
        "tools/convert.py to-hf --checkpoint runs/a/checkpoints/step-00000100 --output runs/a/hf",
    )
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="{to-hf,from-hf}")
    export = verbs.add_parser("to-hf", help="checkpoint -> Hugging Face folder for transformers and vLLM")
    export.add_argument("--checkpoint", type=Path, required=True, help="folder step-XXXXXXXX of a run")
    export.add_argument(
        "--adapter",
        choices=("merged", "peft"),
        default="merged",
        help="of a checkpoint of adapters: the whole model with them, or a PEFT folder of them alone",
    )
    export.add_argument(
        "--base", type=Path, help="where the checkpoint that adapters were trained on lies, if it was moved"
    )
    load = verbs.add_parser("from-hf", help="Hugging Face folder -> checkpoint that training starts from")
    load.add_argument("--model", type=Path, required=True, help="folder with config.json, safetensors and tokenizer")
    for verb in (export, load):
        verb.add_argument("--output", type=Path, required=True, help="folder to write; must not exist")
        verb.add_argument("--json", action="store_true", help="print the result as JSON")
    arguments = parser.parse_args()
    if arguments.verb == "to-hf" and arguments.adapter == "peft":
        from megatron_rfft.conversion.to_peft import to_peft

        if arguments.base is not None:
            raise UserError("--adapter peft does not read the base; leave --base out")
        output = to_peft(arguments.checkpoint, arguments.output)
    elif arguments.verb == "to-hf":
        from megatron_rfft.conversion.to_hf import to_hf

        output = to_hf(arguments.checkpoint, arguments.output, arguments.base)
    else:
        from megatron_rfft.conversion.from_hf import from_hf

        output = from_hf(arguments.model, arguments.output)
    print(json.dumps({"output": str(output)}) if arguments.json else f"wrote {output}")


if __name__ == "__main__":
    run_command(main)
