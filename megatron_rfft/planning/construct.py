"""One rank of a large run, really constructed: the trainer of that rank under a fake process group.

megatron-core is told that this process is rank r of N; collectives return at once. On a CPU all tensors are fake
(shapes without storage), so that a rank of a 32B model takes seconds and no memory: parameters, gradient buffers and
optimizer states are counted to the byte. On a GPU they are real, steps are trained, and CUDA's own peak is read.

The stand-ins reach into torch and last as long as the process: rank_process.py starts one for them.

    python -m megatron_rfft.planning.construct --config run.yaml --world-size 64 --ranks 0,32
"""

import contextlib
import dataclasses
import json
import os
from argparse import Namespace
from collections.abc import Iterator
from typing import Any

import torch

from megatron_rfft.common.cli import add_config, make_parser, run_command
from megatron_rfft.common.errors import UserError
from megatron_rfft.models.config import ModelConfig
from megatron_rfft.planning.rank_process import ConstructedRank
from megatron_rfft.training.config import TrainConfig
from megatron_rfft.training.config_reader import load_config
from megatron_rfft.training.layout_check import check_heads


def construct_rank(
    config: TrainConfig,
    world_size: int,
    rank: int,
    device: str = "cpu",
    *,
    steps: int | None = None,
    forward: bool = True,
) -> ConstructedRank:
    """Build rank ``rank`` of ``world_size`` and count its bytes; those of activations in a ``forward`` pass.

    With ``steps`` (default: 2 on ``device="cuda"``, none on "cpu") its tensors are real and it trains that many steps,
    on data and messages without meaning. The process must not have a process group yet, and is good for nothing else
    afterwards.
    """
    steps = (2 if device == "cuda" else 0) if steps is None else steps
    model = config.model.resolve(0)
    # User buffers are made together with other processes, which there are none of.
    config = dataclasses.replace(config, parallel=dataclasses.replace(config.parallel, tensor_overlap=False))
    if not config.data.packed:
        config = _with_full_micro_batches(config, world_size)
    with _fake_world(config, model, world_size, rank), contextlib.nullcontext() if steps else _fake_tensors():
        trainer = _trainer(config, model)
        counted = _count(trainer)
        if not steps:
            return ConstructedRank(
                rank, *counted, _saved_bytes(trainer) if forward and _attends(config, model) else None
            )
        return ConstructedRank(rank, *counted, None, *_train(trainer, steps, device))


def _with_full_micro_batches(config: TrainConfig, world_size: int) -> TrainConfig:
    """Steps of documents as steps of sequences: each micro-batch has as many tokens as it may have."""
    parallel, batch = config.parallel, config.batch
    replicas = world_size // (parallel.tensor * parallel.pipeline * parallel.context)
    sequences = batch.micro_batch_size * replicas * parallel.pipeline
    return dataclasses.replace(
        config,
        data=dataclasses.replace(config.data, packed=True),
        batch=dataclasses.replace(batch, global_batch_size=sequences),
    )


@contextlib.contextmanager
def _fake_world(config: TrainConfig, model: ModelConfig, world_size: int, rank: int) -> Iterator[None]:
    """A process group that answers at once, and megatron-core's groups on it."""
    from torch.testing._internal.distributed.fake_pg import FakeStore

    from megatron_rfft.training.layout import destroy_parallel, initialize_parallel

    def gather_object(output: list, item: Any, group=None) -> None:
        output[:] = [item] * len(output)

    torch.distributed.all_gather_object = gather_object
    before = os.environ.get("WORLD_SIZE")
    os.environ["WORLD_SIZE"] = str(world_size)
    torch.distributed.init_process_group("fake", rank=rank, world_size=world_size, store=FakeStore())
    try:
        initialize_parallel(config, model)
        yield
        destroy_parallel()
    finally:
        os.environ.pop("WORLD_SIZE")
        if before is not None:
            os.environ["WORLD_SIZE"] = before


def _fake_tensors():
    from torch._subclasses.fake_tensor import FakeTensorMode

    from megatron_rfft.mcore import tensor_parallel

    # Parameters are made in their final type and place; torch refuses to move fake ones, even to where they are.
    torch.nn.Module._apply = lambda self, convert, recurse=True: self
    # Random states have no values to compare or restore.
    tracker = tensor_parallel.random.CudaRNGStatesTracker
    tracker.fork = lambda self, name="": contextlib.nullcontext()
    tracker.get_states = lambda self: {}
    tracker.set_states = lambda self, states: None
    return FakeTensorMode(allow_non_fake_inputs=True)


def _trainer(config: TrainConfig, model: ModelConfig):
    """The trainer itself, without initial weights; each sequence is one document, the heaviest case for attention."""
    from megatron_rfft.data.random_sequences import RandomSequences
    from megatron_rfft.training.trainer import Trainer

    return Trainer(config, model, RandomSequences(config.data.sequence_length, model.vocab_size), initialize=False)


def _attends(config: TrainConfig, model: ModelConfig) -> bool:
    """Whether the attention of this machine can run the layout: without Transformer Engine it splits heads."""
    from megatron_rfft.training.precision import uses_te

    try:
        check_heads(config, model)
    except UserError:
        return uses_te(config)
    return True


def _optimizers(trainer) -> list:
    optimizer = trainer.optimizer
    return list(getattr(optimizer, "chained_optimizers", [optimizer]))


def _count(trainer) -> tuple[int, int, int]:
    """Bytes of parameters, gradients and optimizer states, from the storages that hold them."""
    weights = [parameter for chunk in trainer.model for parameter in (*chunk.parameters(), *_starts(chunk))]
    buffers = [buffer for chunk in trainer.model for buffer in (*chunk.buffers, *chunk.expert_parallel_buffers)]
    gradients = [buffer.grad_data for buffer in buffers]
    model_bytes = _storages(weights)
    states: list[torch.Tensor] = []
    for optimizer in _optimizers(trainer):
        if not getattr(optimizer, "is_stub_optimizer", False):
            states += _optimizer_tensors(optimizer)
    held = {parameter.untyped_storage()._cdata for parameter in weights}
    states = [state for state in states if state.untyped_storage()._cdata not in held]
    return model_bytes, _storages(gradients), _storages(states)


def _optimizer_tensors(optimizer) -> list[torch.Tensor]:
    """Main weights and moments, which are made for the count and then left for the first step to make."""
    inner = optimizer.optimizer
    if optimizer.init_state_fn is not None:
        optimizer.init_state_fn(inner, optimizer.config)
    main = [parameter for group in inner.param_groups for parameter in group["params"]]
    moments = [state[key] for state in inner.state.values() for key in ("exp_avg", "exp_avg_sq")]
    inner.state.clear()
    return main + moments


def _starts(chunk) -> list[torch.Tensor]:
    return [tensor for name, tensor in chunk.module.named_buffers() if ".start_" in name]


def _storages(tensors: list[torch.Tensor]) -> int:
    """Bytes of the distinct storages under ``tensors``."""
    storages = {tensor.untyped_storage()._cdata: tensor.untyped_storage().nbytes() for tensor in tensors}
    return sum(storages.values())


def _saved_bytes(trainer) -> int:
    """What one forward pass of a micro-batch through this rank's chunks keeps for the backward pass."""
    seen: dict[int, int] = {}
    kept: list[torch.Tensor] = []
    own = {p.untyped_storage()._cdata for chunk in trainer.model for p in chunk.parameters()}

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        key = tensor.untyped_storage()._cdata
        if key not in own:
            seen[key] = tensor.untyped_storage().nbytes()
            kept.append(tensor)  # or its number is given to the next one
        return tensor

    config, settings = trainer.config, trainer.transformer_config
    length = config.data.sequence_length * config.batch.micro_batch_size // settings.context_parallel_size
    split = settings.tensor_model_parallel_size if settings.sequence_parallel else 1
    ids = torch.zeros(1, length, dtype=torch.long)
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        for chunk, stage in zip(trainer.model, trainer.stages, strict=True):
            if chunk.ddp_config.overlap_param_gather:  # its coalesced collectives know no fake tensors
                chunk.disable_forward_pre_hook(param_sync=False)
            if not stage.pre_process:
                shape = (length // split, 1, settings.hidden_size)
                stage.set_input_tensor(torch.empty(shape, dtype=settings.params_dtype, requires_grad=True))
            kept.append(chunk(ids, ids, None, labels=ids if stage.post_process else None))
    return sum(seen.values())


def _train(trainer, steps: int, device: str) -> tuple[int | None, int | None]:
    """Train for ``steps`` steps; CUDA's peaks of allocated and of reserved bytes."""
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
    for _ in range(steps):
        trainer.train_step()
    if device != "cuda":
        return None, None
    torch.cuda.synchronize()
    return torch.cuda.max_memory_allocated(), torch.cuda.max_memory_reserved()


def _parse_arguments() -> Namespace:
    parser = make_parser(
        "Construct single ranks of a run under a fake process group and print their bytes as JSON.",
        "python -m megatron_rfft.planning.construct --config run.yaml --world-size 64 --ranks 0,32",
    )
    add_config(parser)
    parser.add_argument("--world-size", type=int, required=True, help="GPUs of the run")
    parser.add_argument("--ranks", required=True, help="ranks to construct, separated by commas")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="cpu: count; cuda: train and measure")
    return parser.parse_args()


def main() -> None:
    arguments = _parse_arguments()
    config = load_config(arguments.config)
    ranks = [int(word) for word in arguments.ranks.split(",")]
    built = [construct_rank(config, arguments.world_size, rank, arguments.device) for rank in ranks]
    print(json.dumps([dataclasses.asdict(one) for one in built]))


if __name__ == "__main__":
    run_command(main)
