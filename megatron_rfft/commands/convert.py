"""Convert checkpoints to Hugging Face folders, for Megatron-Bridge or NeMo, and back; prove that two are equal."""

import argparse
import json
from pathlib import Path

from megatron_rfft.commands.options import add_json, same_named
from megatron_rfft.common.cli import EXIT_FAILED, EXIT_OK, make_parser
from megatron_rfft.common.errors import UserError
from megatron_rfft.common.number_formats import NUMBER_FORMATS
from megatron_rfft.conversion.writing import Writing

LOGITS_TOLERANCE = 1e-4  # of the largest logit; fp32 sums in another order differ by about 1e-6 of it
VERBS = {
    "to-hf": "checkpoint -> Hugging Face folder for transformers and vLLM",
    "from-hf": "Hugging Face folder -> checkpoint that training starts from",
    "to-bridge": "checkpoint -> folder that Megatron-Bridge trains from (weights alone)",
    "from-bridge": "Megatron-Bridge's checkpoint (torch_dist) -> checkpoint that training starts from",
    "to-nemo": "checkpoint -> .nemo file of MegatronGPTModel, which NeMo had up to 2.5.0",
    "from-nemo": ".nemo file -> checkpoint that training starts from",
    "verify": "compare a Hugging Face folder and a checkpoint: every tensor bitwise, and what models make of them",
}


def make_verbs() -> argparse.ArgumentParser:
    """The parser of all verbs."""
    parser = make_parser(
        "Convert a training checkpoint to a Hugging Face folder, a checkpoint of Megatron-Bridge or a .nemo file, or "
        "the other way round; compare a folder and a checkpoint (verify). Tensors pass one by one; a killed conversion "
        "continues when it is run again.",
        "rfft convert to-hf --checkpoint runs/a/checkpoints/step-00000100 --output runs/a/hf",
        "rfft convert",
    )
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="{" + ",".join(VERBS) + "}")
    by_name = {
        name: verbs.add_parser(name, help=text, description=text, formatter_class=parser.formatter_class)
        for name, text in VERBS.items()
    }
    for name in ("to-hf", "to-bridge", "to-nemo", "verify"):
        by_name[name].add_argument("--checkpoint", type=Path, required=True, help="folder step-XXXXXXXX of a run")
        by_name[name].add_argument(
            "--base", type=Path, help="where the checkpoint that adapters were trained on lies, if it was moved"
        )
    by_name["to-hf"].add_argument(
        "--adapter",
        choices=("merged", "peft"),
        default="merged",
        help="of a checkpoint of adapters: the whole model with them, or a PEFT folder of them alone",
    )
    for name in ("from-hf", "verify"):
        by_name[name].add_argument(
            "--model", type=Path, required=True, help="folder with config.json, safetensors and tokenizer"
        )
    by_name["from-bridge"].add_argument(
        "--model", type=Path, required=True, help="folder iter_*, or the one around it (then its last iteration)"
    )
    by_name["from-nemo"].add_argument("--model", type=Path, required=True, help=".nemo file with a sharded checkpoint")
    by_name["verify"].add_argument(
        "--logits",
        action="store_true",
        help="compare logits too, transformers' with megatron-core's (both models in memory, fp32)",
    )
    by_name["verify"].add_argument(
        "--vllm",
        action="store_true",
        help="let vLLM answer some prompts greedily too: each token must be transformers' choice, but for ties, fp32",
    )
    for name in VERBS.keys() - {"verify"}:
        _add_writing(by_name[name])
    for verb in by_name.values():
        verb.add_argument(
            "--workers", type=int, metavar="N", help="threads, each with a few MiB in memory (default: 4 or cores)"
        )
        add_json(verb)
    return parser


def _add_writing(verb: argparse.ArgumentParser) -> None:
    """The options of every verb that writes weights, those of ``Writing`` among them."""
    verb.add_argument("--output", type=Path, required=True, help="what to write; must not exist")
    verb.add_argument(
        "--dtype", choices=("keep", *NUMBER_FORMATS), default=Writing.dtype, help="number format of the result"
    )
    verb.add_argument(
        "--max-shard-gb",
        type=float,
        default=Writing.max_shard_gb,
        metavar="GB",
        help="largest file of weights, in 10^9 bytes",
    )


def main(arguments: list[str] | None = None) -> int:
    """Parse the verb and do it."""
    options = make_verbs().parse_args(arguments)
    if options.workers is not None and options.workers < 1:
        raise UserError(f"--workers is {options.workers}; give 1 or more")
    if options.verb == "verify":
        return verify(options)
    output = convert(options)
    print(json.dumps({"output": str(output)}) if options.json else f"wrote {output}")
    return EXIT_OK


def convert(options: argparse.Namespace) -> Path:
    """Write what the verb says; its path."""
    how = Writing(**same_named(options, Writing))
    if options.verb == "from-hf":
        from megatron_rfft.conversion.from_hf import from_hf

        return from_hf(options.model, options.output, how)
    if options.verb == "from-bridge":
        from megatron_rfft.conversion.bridge import from_bridge

        return from_bridge(options.model, options.output, how)
    if options.verb == "to-bridge":
        from megatron_rfft.conversion.bridge import to_bridge

        return to_bridge(options.checkpoint, options.output, options.base, how)
    if options.verb == "from-nemo":
        from megatron_rfft.conversion.nemo import from_nemo

        return from_nemo(options.model, options.output, how)
    if options.verb == "to-nemo":
        from megatron_rfft.conversion.nemo import to_nemo

        return to_nemo(options.checkpoint, options.output, options.base, how)
    if options.adapter == "peft":
        from megatron_rfft.conversion.to_peft import to_peft

        if options.base is not None:
            raise UserError("--adapter peft does not read the base; leave --base out")
        if options.dtype != "keep":
            raise UserError("--adapter peft keeps the adapters' number format; leave --dtype out")
        return to_peft(options.checkpoint, options.output)
    from megatron_rfft.conversion.to_hf import to_hf

    return to_hf(options.checkpoint, options.output, options.base, how)


def verify(options: argparse.Namespace) -> int:
    """Compare, say what differs first; the exit code."""
    from megatron_rfft.conversion.compare_models import first_difference, logits_difference

    if options.vllm:
        from megatron_rfft.evaluation.greedy import compare_greedy, require_vllm

        require_vllm()
    place = (options.model, options.checkpoint, options.base)
    difference = first_difference(*place, options.workers)
    result: dict[str, object] = {"equal": not difference, "first_difference": difference or None}
    told = f"differ: {difference}" if difference else "every tensor is bitwise equal"
    if options.logits and not difference:
        largest, logit = logits_difference(*place)
        result |= {"logits_difference": largest, "largest_logit": logit}
        result["equal"] = largest <= LOGITS_TOLERANCE * logit
        told += f"; logits differ by {largest:.1e} at most (the largest is {logit:.1f})"
        told += "" if result["equal"] else f", which is more than {LOGITS_TOLERANCE:.0e} of it"
    if options.vllm and result["equal"]:
        comparison = compare_greedy(options.model)
        result |= {"equal": comparison.equal, "greedy": comparison.as_dict()}
        told += f"; {comparison}"
    print(json.dumps(result) if options.json else told)
    return EXIT_OK if result["equal"] else EXIT_FAILED
