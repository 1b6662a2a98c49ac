"""Read the weights of checkpoints: whole ones, adapters, and what adapters make of the weights under them."""

from pathlib import Path

import torch
from torch import Tensor

from megatron_rfft.common.errors import UserError
from megatron_rfft.conversion.dtypes import target_dtype
from megatron_rfft.conversion.parameter_mapping import mappings, parameters
from megatron_rfft.conversion.storage.state_reader import ShardedStateReader
from megatron_rfft.conversion.storage.stored import SourceFile, Stored
from megatron_rfft.models.adapter_config import AdapterConfig
from megatron_rfft.models.config import ModelConfig
from megatron_rfft.models.geometry import Linear
from megatron_rfft.models.low_rank import product
from megatron_rfft.training.checkpoint_files import STATE


class AdapterReader:
    """The adapters in a verified checkpoint."""

    def __init__(self, checkpoint: Path, manifest: dict):
        self.config = AdapterConfig.from_manifest(manifest["adapter"])
        self.model = ModelConfig(**manifest["model"])
        self.linears = self.config.linears(self.model)
        """The matrices of each layer that carry them."""
        self._state = ShardedStateReader(checkpoint / STATE)

    @property
    def files(self) -> dict[Path, SourceFile]:
        """By path, all that is read here."""
        return self._state.files

    @property
    def dtype(self) -> torch.dtype:
        """The run's number format."""
        return self._state.dtype(f"{self.linears[0].path}.adapter.a")

    def factors(self, spec: Linear, layer: int, *, start: bool = False) -> tuple[Tensor, list[Tensor]]:
        """The stacked A and the B of each projection of ``spec``; with ``start`` as they were before training."""
        prefix = f"{spec.path}.adapter.{'start_' if start else ''}"
        b = [self._state.read(f"{prefix}b_{part}", layer) for part in spec.parts]
        return self._state.read(f"{prefix}a", layer), b

    @property
    def starts_at_zero(self) -> bool:
        """Whether the adapters were worth nothing before training."""
        return self.config.method == "lora"

    def change(self, spec: Linear, layer: int) -> Tensor:
        """What training has made of the fused weight of ``spec``, in fp32."""
        change = product(*self.factors(spec, layer), spec.groups)
        if not self.starts_at_zero:
            change = change - product(*self.factors(spec, layer, start=True), spec.groups)
        return self.config.scale * change


class MergedReader:
    """Reads like ShardedStateReader: weights with adapters merged into them, in the adapters' number format."""

    def __init__(self, weights: "ShardedStateReader | MergedReader", adapters: AdapterReader):
        self._weights, self._adapters, self._dtype = weights, adapters, adapters.dtype
        self._specs = {spec.weight: spec for spec in adapters.linears}
        self.names = weights.names
        self.files = weights.files | adapters.files
        """By path, all that is read here."""

    def shape(self, name: str) -> tuple[int, ...]:
        """The shape of ``name``, with the axis of layers where these are stacked."""
        return self._weights.shape(name)

    def dtype(self, name: str) -> torch.dtype:
        """The adapters' number format, whatever ``name`` is."""
        return self._dtype

    def stored(self, name: str, layer: int | None) -> Stored:
        """The full parameter ``name`` (of ``layer``, where layers are stacked) where it lies, or how it is made."""
        weight = self._weights.stored(name, layer)
        if name not in self._specs and weight.dtype == self._dtype:
            return weight
        shape = self.shape(name)[0 if layer is None else 1 :]
        return Stored(shape, self._dtype, lambda: self.read(name, layer))

    def read(self, name: str, layer: int | None) -> Tensor:
        """The full parameter ``name`` (of ``layer``, where layers are stacked)."""
        weight = self._weights.read(name, layer).to(self._dtype)
        if name not in self._specs:
            return weight
        return (weight.float() + self._adapters.change(self._specs[name], layer)).to(self._dtype)


Reader = ShardedStateReader | MergedReader


def merged_reader(chain: list[tuple[Path, dict]]) -> Reader:
    """The weights of the first checkpoint of a verified ``chain`` (of weights_chain)."""
    *with_adapters, (whole, _) = chain
    reader: Reader = ShardedStateReader(whole / STATE)
    for checkpoint, manifest in reversed(with_adapters):
        reader = MergedReader(reader, AdapterReader(checkpoint, manifest))
    return reader


def checked_weights(chain: list[tuple[Path, dict]], dtype: str) -> tuple[ModelConfig, Reader, torch.dtype]:
    """The model of the first checkpoint of a verified ``chain``, its weights, and the number format that they get.

    Raises UserError as ``check_parameters`` and ``target_dtype`` do.
    """
    checkpoint, manifest = chain[0]
    model, reader = ModelConfig(**manifest["model"]), merged_reader(chain)
    check_parameters(reader, model, checkpoint)
    return model, reader, target_dtype({reader.dtype(name) for name in reader.names}, dtype, checkpoint)


def check_parameters(reader: Reader, model: ModelConfig, checkpoint: Path) -> None:
    """Raise UserError if a parameter of ``model`` is not in the checkpoint, one too many is, or one of another size."""
    if unmapped := reader.names ^ set(mappings(model)):
        raise UserError(
            f"{checkpoint}: {sorted(unmapped)[0]} is not in both the checkpoint and the {model.architecture} table"
        )
    for mapping, layer in parameters(model):
        shape = reader.shape(mapping.megatron)[0 if layer is None else 1 :]
        padded = mapping.padded and shape[1:] == mapping.shape[1:] and shape[0] > mapping.shape[0]
        if shape != mapping.shape and not padded:
            raise UserError(f"{checkpoint}: {mapping.megatron} is {shape}, its config says {mapping.shape}")
