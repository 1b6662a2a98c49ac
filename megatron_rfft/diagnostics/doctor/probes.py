"""Checks that exercise what is installed: ``python -m megatron_rfft.diagnostics.doctor.probes NAME`` prints one.

Each runs in a process of its own, since what they look for can also hang a process or end it by a signal.
"""

import contextlib
import importlib
import io
import json
import math
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from megatron_rfft.common.processes import end_with_parent
from megatron_rfft.diagnostics.doctor.findings import Finding, Status
from megatron_rfft.diagnostics.doctor.versions import (
    FIXES,
    check_transformer_engine,
    check_version,
    library_versions,
    version_of,
)
from megatron_rfft.models.fp8 import unavailable


def gpu() -> Finding:
    """Driver, GPUs, and whether torch sees them."""
    name = "gpu"
    if shutil.which("nvidia-smi") is None:
        return Finding(name, Status.ABSENT, "no NVIDIA driver (no nvidia-smi)", "in a container, start it with GPUs")
    query = ("nvidia-smi", "--query-gpu=name,driver_version,memory.total", "--format=csv,noheader")
    done = subprocess.run(query, capture_output=True, text=True, timeout=60)
    if done.returncode:
        return Finding(name, Status.FAIL, (done.stdout + done.stderr).strip()[:200], "the driver must be fixed first")
    gpus = done.stdout.strip().splitlines()
    found = f"{len(gpus)} x {gpus[0]}"
    import torch

    if torch.version.cuda is None:
        return Finding(name, Status.FAIL, f"{found}, but torch {torch.__version__} has no CUDA", FIXES["torch"])
    if not torch.cuda.is_available():
        return Finding(
            name,
            Status.FAIL,
            f"{found}, but torch (CUDA {torch.version.cuda}) can't use it",
            "the driver is too old for this CUDA, or CUDA_VISIBLE_DEVICES hides the GPUs",
        )
    (torch.ones(8, device="cuda") * 2).sum().item()
    capability = "{}.{}".format(*torch.cuda.get_device_capability())
    found += f", compute capability {capability}, CUDA {torch.version.cuda}"
    if torch.cuda.get_device_capability() < (8, 9):
        return Finding(name, Status.WARN, f"{found}: no FP8 below 8.9", "train with precision.dtype bf16")
    return Finding(name, Status.OK, found)


def torch() -> Finding:
    """torch's version, what it was built for, and a product of matrices."""
    finding = check_version("torch")
    if finding.status == Status.ABSENT:
        return finding
    import torch

    matrix = torch.randn(64, 64, dtype=torch.float64)
    if not torch.allclose(matrix @ torch.linalg.inv(matrix) @ matrix, matrix, atol=1e-6):
        return Finding("torch", Status.FAIL, f"{torch.__version__} computes wrong products", FIXES["torch"])
    build = f"CUDA {torch.version.cuda}" if torch.version.cuda else "CPU build"
    if torch.version.cuda and torch.distributed.is_nccl_available():
        build += ", NCCL {}".format(".".join(map(str, torch.cuda.nccl.version())))
    return Finding("torch", finding.status, f"{finding.found}, {build}", finding.fix)


def training_step() -> Finding:
    """Two optimizer steps of a tiny model, by the trainer."""
    from megatron_rfft.data.random_sequences import RandomSequences
    from megatron_rfft.diagnostics.checks.settings import TINY
    from megatron_rfft.mcore import DEVICE, ON_GPU
    from megatron_rfft.training.config_reader import config_from_dict
    from megatron_rfft.training.layout import destroy_parallel, initialize_parallel
    from megatron_rfft.training.trainer import Trainer

    config = config_from_dict(
        {
            "run": {"output": "unused", "steps": 2},
            "model": {**TINY, "hidden_size": 64, "vocab_size": 256},
            "data": {"sequence_length": 64},
            "batch": {"global_batch_size": 2},
            "optimizer": {"lr": 1e-3, "schedule": "constant"},
            "precision": {"dtype": "bf16" if ON_GPU else "fp32"},
        }
    )
    resolved = config.model.resolve(256)
    initialize_parallel(config, resolved)
    trainer = Trainer(config, resolved, RandomSequences(64, 256, 32))
    losses = [trainer.train_step().loss for _ in range(2)]
    destroy_parallel()
    if not all(math.isfinite(loss) and abs(loss - math.log(256)) < 1 for loss in losses):
        return Finding("training step", Status.FAIL, f"losses {losses} where ln 256 is expected", "report this")
    return Finding("training step", Status.OK, f"two steps on {DEVICE.type}, loss {losses[0]:.3f} then {losses[1]:.3f}")


def transformer_engine() -> Finding:
    """Import, and which FP8 recipes the machine has, with the reason for those it lacks."""
    finding = check_transformer_engine(version_of("transformer-engine"), **library_versions())
    if finding.status in (Status.ABSENT, Status.FAIL):
        return finding
    try:
        recipes = unavailable()
    except (ImportError, OSError) as error:
        return Finding(finding.name, Status.FAIL, f"{finding.found}: {_line(error)}", FIXES["transformer-engine"])
    told = "; ".join(f"{recipe}: {reason or 'yes'}" for recipe, reason in recipes.items())
    status = Status.WARN if any(recipes.values()) else finding.status
    return Finding(finding.name, status, f"{finding.found}. FP8 {told}", finding.fix)


def fp8_linear() -> Finding:
    """Output and gradients of one FP8 layer, for every recipe the machine has, against FP32."""
    from megatron_rfft.diagnostics.checks.numerics import error_bounds, linear_errors

    name = "FP8 linear layer"
    if version_of("transformer-engine") is None:
        return Finding(name, Status.ABSENT, "needs Transformer Engine", FIXES["transformer-engine"])
    recipes = [recipe for recipe, reason in unavailable().items() if not reason]
    if not recipes:
        return Finding(name, Status.WARN, "this GPU has no FP8", "train with precision.fp8 none")
    errors = {recipe: linear_errors(recipe, 512, 512, 512) for recipe in recipes}
    told = ", ".join(f"{recipe} {max(found.values()):.1%}" for recipe, found in errors.items())
    bounds = {recipe: error_bounds(recipe) for recipe in recipes}
    if any(not errors[recipe][of] < bound for recipe in recipes for of, bound in bounds[recipe].items()):
        return Finding(name, Status.FAIL, f"wrong numbers: {told} from FP32", FIXES["transformer-engine"])
    return Finding(name, Status.OK, f"relative error {told}")


def fused_weight_gradient() -> Finding:
    """The product that adds a weight gradient onto the FP32 buffer: apex's kernel, or torch's in its place."""
    import torch

    from megatron_rfft.mcore.weight_gradients import APEX_EXTENSION, install

    name = "fused weight gradient"
    install()
    module = importlib.import_module(APEX_EXTENSION)
    whose = "apex's" if getattr(module, "__file__", None) else "torch's"
    x, dy = (torch.randn(128, 64, device="cuda", dtype=torch.bfloat16) for _ in range(2))
    total = torch.ones(64, 64, device="cuda")
    expected = total + dy.float().t() @ x.float()
    module.wgrad_gemm_accum_fp32(x, dy, total)
    if not torch.allclose(total, expected, rtol=2e-2, atol=2e-1):
        fix = "pip uninstall apex, or build it again for this torch" if whose == "apex's" else FIXES["torch"]
        return Finding(name, Status.FAIL, f"{whose} computes wrong gradients", fix)
    return Finding(name, Status.OK, f"{whose} agrees with autograd")


def collectives() -> Finding:
    """The sum over two processes: by NCCL where there are two GPUs, else by gloo (and NCCL alone on one GPU)."""
    import torch

    gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    worlds = [("gloo", 2)] + ([("nccl", min(gpus, 2))] if gpus else [])
    for backend, size in worlds:
        with tempfile.TemporaryDirectory() as folder:
            context = torch.multiprocessing.start_processes(
                _sum_of_ranks, (backend, size, f"{folder}/store"), nprocs=size, join=False, start_method="spawn"
            )
            while not context.join():
                pass
    told = ", ".join(f"{backend} over {size} process{'es' * (size > 1)}" for backend, size in worlds)
    if gpus == 1:
        return Finding("collectives", Status.OK, f"{told} (one GPU: NCCL between GPUs is not tried)")
    return Finding("collectives", Status.OK, told)


def _sum_of_ranks(rank: int, backend: str, size: int, store: str) -> None:
    import torch

    device = torch.device("cuda", rank) if backend == "nccl" else torch.device("cpu")
    if backend == "nccl":
        torch.cuda.set_device(device)
    torch.distributed.init_process_group(backend, init_method=f"file://{store}", rank=rank, world_size=size)
    ranks = torch.full((1000,), rank + 1.0, device=device)
    torch.distributed.all_reduce(ranks)
    if not bool((ranks == size * (size + 1) / 2).all()):
        raise RuntimeError(f"{backend}'s sum over {size} processes is wrong")
    torch.distributed.destroy_process_group()


def vllm_import() -> Finding:
    """vLLM's compiled kernels and its engine class."""
    name = "vllm import"
    if version_of("vllm") is None:
        return Finding(name, Status.ABSENT, "not installed", FIXES["vllm"])
    import torch

    with contextlib.redirect_stdout(io.StringIO()):
        from vllm import LLM
        from vllm.platforms import current_platform
    platform = "cpu" if current_platform.is_cpu() else "cuda" if current_platform.is_cuda() else "none"
    found = f"{LLM.__name__} on {platform}, torch {torch.__version__}"
    if platform == "none" or (platform == "cpu" and torch.cuda.is_available()):
        return Finding(name, Status.FAIL, f"{found}: vLLM sees no device", FIXES["vllm"])
    return Finding(name, Status.OK, found)


def tokenizer_engines() -> Finding:
    """fastokens against tokenizers on a vocabulary made here, and a SentencePiece round trip."""
    from tokenizers import ByteLevelBPETokenizer

    from megatron_rfft.tokenization.engines import first_difference, load_engine
    from megatron_rfft.tokenization.sentencepiece_train import train_sentencepiece

    texts = [f"now, result = result + {number} = {number * 7}\n" for number in range(400)]
    with tempfile.TemporaryDirectory() as folder:
        bpe = ByteLevelBPETokenizer()
        bpe.train_from_iterator(texts, vocab_size=400, show_progress=False)
        bpe.save(f"{folder}/tokenizer.json")
        fast, slow = (
            load_engine(engine, Path(folder, "tokenizer.json"))(texts) for engine in ("fastokens", "tokenizers")
        )
        train_sentencepiece(iter(texts), 320, Path(folder, "tokenizer.model"))
        import sentencepiece

        pieces = sentencepiece.SentencePieceProcessor(model_file=f"{folder}/tokenizer.model")
        kept = all(pieces.decode(pieces.encode(text)) == text for text in texts)
    name = "tokenizer engines"
    versions = ", ".join(f"{package} {version_of(package)}" for package in ("fastokens", "tokenizers", "sentencepiece"))
    if first_difference(fast, slow) is not None:
        return Finding(name, Status.FAIL, f"{versions}: fastokens gives other ids than tokenizers", "pip install both")
    if not kept:
        return Finding(name, Status.FAIL, f"{versions}: SentencePiece loses text", "pip install 'sentencepiece<0.3'")
    return Finding(name, Status.OK, f"{versions} agree")


def nemo() -> Finding:
    """nemo-toolkit's version, and whether it is one that still has language models."""
    finding = check_version("nemo-toolkit")
    if finding.status == Status.OK and finding.found.startswith("3."):
        return Finding(finding.name, Status.OK, f"{finding.found} (3.x has no language models; 2.7.3 is the last)")
    return finding


PROBES: dict[str, Callable[[], Finding]] = {
    "gpu": gpu,
    "torch": torch,
    "training step": training_step,
    "transformer-engine": transformer_engine,
    "FP8 linear layer": fp8_linear,
    "fused weight gradient": fused_weight_gradient,
    "collectives": collectives,
    "vllm import": vllm_import,
    "tokenizer engines": tokenizer_engines,
    "nemo-toolkit": nemo,
}


def run_probe(name: str, seconds: float) -> Finding:
    """Run a probe in a process of its own, for at most ``seconds``; what ends it badly is its finding."""
    root = Path(__file__).resolve().parents[3]
    search = os.pathsep.join(filter(None, [str(root), os.environ.get("PYTHONPATH")]))
    process = subprocess.Popen(
        [sys.executable, "-m", __name__, name],
        env={**os.environ, "PYTHONPATH": search},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        output, errors = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, 9)  # its own processes with it: it leads its session
        process.communicate()
        return Finding(name, Status.FAIL, f"no answer within {seconds:.0f} s", "run it alone to see where it hangs")
    lines = output.strip().splitlines()
    if process.returncode == 0 and lines:
        return Finding.of_dict(json.loads(lines[-1]))
    said = [line for line in errors.strip().splitlines() if line.strip()]
    reason = said[-1].strip()[:300] if said else "no message"
    ended = f"signal {-process.returncode}" if process.returncode < 0 else f"exit code {process.returncode}"
    return Finding(name, Status.FAIL, f"{reason} ({ended})", f"python -m {__name__} '{name}' shows all of it")


def _line(error: BaseException) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"


def main() -> None:
    """Print the finding of the probe named on the command line."""
    end_with_parent()
    print(json.dumps(PROBES[sys.argv[1]]().as_dict()))


if __name__ == "__main__":
    main()
