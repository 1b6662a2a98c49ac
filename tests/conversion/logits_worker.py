"""Run under torchrun: load checkpoints into a layout, save the logits of some tokens and each checkpoint anew."""

import json
import shutil
import sys
from pathlib import Path

import torch
from safetensors.torch import save_file

from megatron_rfft.mcore import dist_checkpointing, parallel_state, tensor_parallel
from megatron_rfft.mcore.saving import StateSaver
from megatron_rfft.models.build import build_model, transformer_config
from megatron_rfft.models.config import ModelConfig
from megatron_rfft.training.checkpoint import content_metadata, model_state
from megatron_rfft.training.checkpoint_save import CheckpointSave
from megatron_rfft.training.layout import start_process_group


def run(job: dict, tensor: int, pipeline: int) -> None:
    model = ModelConfig.from_hf(job["model"])
    config = transformer_config(model, dtype=torch.float32, tensor_parallel=tensor, pipeline_parallel=pipeline)
    (stage,) = build_model(model, config)
    stage.eval()
    loaded = dist_checkpointing.load(model_state([stage]), str(Path(job["checkpoint"]) / "state"))
    stage.load_state_dict(loaded["model"][0])
    hf = Path(job["checkpoint"]) / "hf"
    CheckpointSave(
        Path(job["again"]),
        model_state([stage]),
        lambda folder: shutil.copytree(hf, folder, dirs_exist_ok=True),
        StateSaver(content_metadata()),
        step=0,
        consumed_samples=0,
        model=model.as_dict(),
    ).finish()
    tokens = torch.randint(0, model.vocab_size, (2, 40), generator=torch.Generator().manual_seed(1))
    positions = torch.arange(40).expand(2, 40)
    hidden = torch.empty(40, 2, model.hidden_size)
    rank = parallel_state.get_pipeline_model_parallel_rank()
    with torch.no_grad():
        if rank > 0:
            torch.distributed.recv(hidden, parallel_state.get_pipeline_model_parallel_prev_rank())
            stage.set_input_tensor(hidden)
        output = stage(tokens, positions, None)
        if rank < pipeline - 1:
            torch.distributed.send(output, parallel_state.get_pipeline_model_parallel_next_rank())
        else:
            # [batch, sequence, vocabulary / TP] on each tensor-parallel rank.
            logits = tensor_parallel.gather_from_tensor_model_parallel_region(output)[..., : model.vocab_size]
            if parallel_state.get_tensor_model_parallel_rank() == 0:
                save_file({"tokens": tokens, "logits": logits.contiguous()}, job["output"])
    torch.distributed.barrier()


def main() -> None:
    tensor, pipeline = map(int, sys.argv[1:3])
    jobs = json.loads(Path(sys.argv[3]).read_text())
    start_process_group(tensor * pipeline)
    parallel_state.initialize_model_parallel(tensor, pipeline, create_gloo_process_groups=False)
    tensor_parallel.model_parallel_cuda_manual_seed(0)
    for job in jobs:
        run(job, tensor, pipeline)
    torch.distributed.destroy_process_group()


if __name__ == "__main__":
    main()
