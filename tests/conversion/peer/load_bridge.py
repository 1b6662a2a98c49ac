"""Run by the environment of Megatron-Bridge: load a checkpoint as Bridge does, show its tensors, save it again.

Arguments: the folder of an iteration, a file for its tensors, the folder to save to. Bridge's own code reads the config
and the weights, and writes both; on a CPU it is given megatron-core's local layers for Transformer Engine's.
"""

import sys
from pathlib import Path

import absent
import torch
from safetensors.torch import save_file

from megatron.core.models.gpt import gpt_layer_specs

# megatron-core has looked for them before, and goes on without.
assert not gpt_layer_specs.HAVE_TE
absent.install("modelopt", "transformer_engine", "triton")

import yaml  # noqa: E402

from megatron.bridge.models.gpt_provider import local_layer_spec  # noqa: E402
from megatron.bridge.training import checkpointing, model_load_save  # noqa: E402
from megatron.bridge.training.config import ConfigContainer  # noqa: E402
from megatron.bridge.training.utils.checkpoint_utils import get_checkpoint_run_config_filename  # noqa: E402
from megatron.bridge.utils.yaml_utils import safe_yaml_representers  # noqa: E402
from megatron.core import dist_checkpointing  # noqa: E402


def main() -> None:
    source, tensors, output = sys.argv[1:]
    # megatron-core's writer waits for copies from a GPU, and counts what went wrong there.
    torch.cuda.synchronize, torch.cuda.current_device = lambda: None, lambda: "cpu"
    config, of_megatron_lm = model_load_save.load_model_config(source)
    assert of_megatron_lm is None
    as_read = ConfigContainer._convert_value_to_dict(config)
    config.transformer_layer_spec = local_layer_spec
    with model_load_save.temporary_distributed_context():
        (model,) = model_load_save.build_and_load_model(source, config, use_cpu_init=True)
        save_file({name: value for name, value in model.state_dict().items() if value is not None}, tensors)
        state = checkpointing._generate_model_state_dict([model], {"metadata": {"singleton_local_shards": False}})
        Path(output).mkdir(parents=True)
        dist_checkpointing.save(state, output, content_metadata={"singleton_local_shards": False})
    with safe_yaml_representers():
        written = yaml.safe_dump({"model": as_read}, default_flow_style=False)
    Path(get_checkpoint_run_config_filename(output)).write_text(written)


if __name__ == "__main__":
    main()
