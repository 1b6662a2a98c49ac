"""Memory, time and the best layouts of a run, before it is submitted."""

import json
from argparse import Namespace
from dataclasses import asdict
from pathlib import Path

import yaml

from megatron_rfft.commands.options import add_json
from megatron_rfft.common.cli import add_config, make_parser
from megatron_rfft.common.errors import UserError
from megatron_rfft.common.files import atomic_write
from megatron_rfft.planning import report
from megatron_rfft.planning.checkpoints import FILE_SYSTEM
from megatron_rfft.planning.gpus import GPUS, find_gpu
from megatron_rfft.planning.layout import layout_from_config, with_layout, workload_from_config
from megatron_rfft.planning.memory import distinct_ranks
from megatron_rfft.planning.paper_runs import format_paper
from megatron_rfft.planning.rank_process import construct_ranks
from megatron_rfft.planning.search import LayoutPlan, Search, plan_layout, search
from megatron_rfft.planning.sources import document_tokens, resolve_model
from megatron_rfft.training.config import TrainConfig
from megatron_rfft.training.config_reader import load_config
from megatron_rfft.training.layout_check import check_layout


def parse_arguments(arguments: list[str] | None) -> tuple[Namespace, list[str]]:
    parser = make_parser(
        "Plan a run: the memory of every distinct rank, an estimate of its time, and all layouts over the given GPUs "
        "(nodes of 8), the fastest that fits first. Estimates come from operation counts and efficiencies fitted to "
        "published H100 runs; --calibration shows how well. Keys of the config can be set as --section.key VALUE.",
        "rfft plan --config run.yaml --gpus 64 --gpu h100-80g --write-config planned.yaml",
        "rfft plan",
    )
    add_config(parser, required=False)
    parser.add_argument("--gpus", type=int, help="GPUs in all")
    parser.add_argument("--gpu", choices=list(GPUS), default="h100-80g", help="kind of GPU")
    parser.add_argument("--top", type=int, default=8, help="layouts to list")
    parser.add_argument("--keep-layout", action="store_true", help="plan the config's own layout, try no other")
    parser.add_argument(
        "--document-tokens",
        type=float,
        help="mean length of documents, each weighted by its tokens, which packed attention depends on; left out: that "
        "of data.train, or where it is absent whole sequences",
    )
    parser.add_argument(
        "--document-mean",
        type=float,
        help="mean length of documents, each counted once, which a step's tokens follow from where it counts documents "
        "(data.packed false); left out: that of data.train, or where it is absent --document-tokens",
    )
    parser.add_argument(
        "--exact", action="store_true", help="construct every distinct rank with megatron-core (some seconds a rank)"
    )
    parser.add_argument(
        "--file-system",
        type=float,
        default=FILE_SYSTEM,
        metavar="GB/S",
        help="what the file system takes from a whole job, for the times of checkpoints",
    )
    parser.add_argument("--write-config", type=Path, help="file for the config with the layout chosen")
    parser.add_argument("--calibration", action="store_true", help="compare estimates with published runs and stop")
    parser.add_argument("--paper", action="store_true", help="plan the paper's RF-pretraining runs and stop")
    add_json(parser)
    known, overrides = parser.parse_known_args(arguments)
    if not (known.calibration or known.paper) and (known.config is None or known.gpus is None):
        parser.error("give --config FILE and --gpus N, or --calibration, or --paper")
    return known, overrides


def main(arguments: list[str] | None = None) -> None:
    options, overrides = parse_arguments(arguments)
    if options.calibration:
        print(report.format_calibration())
        return
    if options.paper:
        print(format_paper(options.gpu))
        return
    if options.file_system <= 0:
        raise UserError(f"--file-system is {options.file_system:g}; give GB/s, such as {FILE_SYSTEM:g}")
    config = load_config(options.config, overrides)
    model = resolve_model(config)
    gpu = find_gpu(options.gpu)
    documents = document_tokens(config, options.document_tokens, options.document_mean)
    work = workload_from_config(config, documents.weighted, documents.mean)
    found = None
    if options.keep_layout:
        layout = layout_from_config(config, options.gpus)
        check_layout(config, model, options.gpus)
        plan = plan_layout(model, work, layout, gpu)
    else:
        found = search(config, model, work, options.gpus, gpu)
        plan = report.best(found)
    chosen = with_layout(config, plan.layout)
    kinds = distinct_ranks(model, work, plan.layout)
    built = construct_ranks(chosen, options.gpus, [kind.rank for kind in kinds]) if options.exact else []
    if options.write_config:
        with atomic_write(options.write_config) as handle:
            yaml.safe_dump(chosen.as_dict(), handle, sort_keys=False)
    submit = report.sbatch_line(options.write_config or options.config, options.gpus)
    if options.json:
        values = report.plan_values(plan, options.file_system) | {
            "ranks": [asdict(kind) for kind in kinds],
            "constructed": [asdict(one) for one in built],
            "attention": documents.basis,
            "document_multiple": chosen.data.document_multiple,
            "submit": submit,
        }
        print(json.dumps(values | (report.search_values(found, options.top, options.file_system) if found else {})))
    else:
        _print(config, plan, found, options.top, documents.basis)
        print(f"\nmemory of its ranks\n{report.format_memory(kinds, built)}\n")
        print(f"{report.format_checkpoints(plan, options.file_system)}\n")
        if options.write_config:
            print(f"written: {options.write_config}")
        if (multiple := chosen.data.document_multiple) != config.data.document_multiple:
            print(f"context parallelism needs data.document_multiple {multiple}: other sequences, for a new run")
        print(submit)


def _print(config: TrainConfig, plan: LayoutPlan, found: Search | None, top: int, span_basis: str) -> None:
    precision = plan.work.dtype if plan.work.fp8 == "none" else f"{plan.work.dtype} with {plan.work.fp8} FP8"
    print(f"{plan.model.num_parameters():,} parameters, {precision}, attention over {span_basis}")
    if found:
        print(f"\nlayouts of {plan.layout.gpus} {plan.gpu.name}\n{report.format_search(found, top)}\n")
    print(f"{report.format_summary(plan)}\n\n{report.format_time(plan)}")
    if not plan.fits:
        print(f"\nDOES NOT FIT: {plan.reason()}")
