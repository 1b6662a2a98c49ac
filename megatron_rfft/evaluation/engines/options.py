"""What each engine takes: its options, its kind of model, and how it is started; no engine's library is loaded here."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, ClassVar

from megatron_rfft.common.errors import UserError
from megatron_rfft.evaluation.engines.base import Engine, Start
from megatron_rfft.evaluation.model import AnyModel, ModelFolder, ServedModel, open_model, tokenizer_facts


def shown(text: str, metavar: str | None = None) -> dict[str, str | None]:
    """The metadata of a field that is an option of ``rfft evaluate``: its help, and what a value is called there."""
    return {"help": text, "metavar": metavar}


@dataclass(frozen=True)
class EngineOptions(ABC):
    """An engine by its options. Raises UserError for a number below 1."""

    name: ClassVar[str]
    title: ClassVar[str]
    """What the options are about, in the command's help."""

    def __post_init__(self) -> None:
        for each in fields(self):
            value = getattr(self, each.name)
            if each.type is int and value < 1:
                raise UserError(f"{each.name} is {value}; give at least 1")

    @property
    def gpus(self) -> int:
        """GPUs that one process takes, where there are some."""
        return 1

    def deciding(self) -> dict[str, Any]:
        """Options that may change answers: a run's settings name them where they are not the default."""
        return {}

    @abstractmethod
    def open_model(self, model: Path | str) -> AnyModel:
        """The model to be asked. Raises UserError if the engine cannot take it."""

    @abstractmethod
    def max_positions(self, model: AnyModel) -> int | None:
        """The longest sequence, prompt and answer, in tokens; None if nobody says."""

    @abstractmethod
    def start(self, model: AnyModel, start: Start) -> Engine:
        """Load the library and the model. Raises UserError where one of them is not to be had."""


class FolderEngine(EngineOptions):
    """An engine that takes an HF folder, and token ids."""

    def open_model(self, model: Path | str) -> ModelFolder:
        return open_model(model)

    def max_positions(self, model: ModelFolder) -> int:
        return model.max_positions

    def start(self, model: ModelFolder, start: Start) -> Engine:
        return self.load(model.path, start)

    @abstractmethod
    def load(self, folder: Path, start: Start) -> Engine:
        """``start`` with the model in ``folder``."""


@dataclass(frozen=True)
class VllmOptions(FolderEngine):
    """vLLM in this process."""

    name = "vllm"
    title = "vLLM (--engine vllm)"

    tensor_parallel: int = field(default=1, metadata=shown("GPUs that vLLM splits a model over"))
    batch_invariant: bool = field(
        default=False,
        metadata=shown(
            "let vLLM round alike whatever else is in flight, so that parts and restarts change no token; slower"
        ),
    )
    """On a GPU: the same tokens whatever else is in flight, at a price in speed."""
    prefix_caching: bool = field(default=True, metadata=shown("let vLLM compute once what prompts have in common"))

    @property
    def gpus(self) -> int:
        return self.tensor_parallel

    def deciding(self) -> dict[str, Any]:
        caching = {} if self.prefix_caching else {"prefix_caching": False}
        return {**caching, **({"batch_invariant": True} if self.batch_invariant else {})}

    def load(self, folder: Path, start: Start) -> Engine:
        from megatron_rfft.evaluation.engines.vllm import VllmEngine

        return VllmEngine(
            folder,
            start,
            tensor_parallel=self.tensor_parallel,
            prefix_caching=self.prefix_caching,
            batch_invariant=self.batch_invariant,
        )


@dataclass(frozen=True)
class HfOptions(FolderEngine):
    """transformers in this process."""

    name = "hf"
    title = "transformers (--engine hf)"

    def load(self, folder: Path, start: Start) -> Engine:
        from megatron_rfft.evaluation.engines.hf import HfEngine

        return HfEngine(folder, start)


@dataclass(frozen=True)
class ServerOptions(EngineOptions):
    """A server that speaks OpenAI's HTTP interface."""

    name = "openai"
    title = "a server (--engine openai)"

    base_url: str | None = field(default=None, metadata=shown("its address, such as http://localhost:8000/v1", "URL"))
    tokenizer: Path | None = field(
        default=None,
        metadata=shown("folder with the model's tokenizer.json: ask a vLLM server by token ids instead of text"),
    )
    api_key_env: str | None = field(default=None, metadata=shown("environment variable with its key (none)", "VAR"))
    concurrency: int = field(default=16, metadata=shown("requests in flight at once"))
    retry_seconds: float = field(default=600.0, metadata=shown("how long to ask again before a question is given up"))

    def open_model(self, model: Path | str) -> ServedModel:
        """The served model called ``model``, or the one model of the server at the address ``model``."""
        from megatron_rfft.evaluation.engines.openai import check_base_url, served_model

        name, base_url = str(model), self.base_url
        if is_address := name.startswith(("http://", "https://")):
            base_url = name
        if base_url is None:
            raise UserError("--engine openai needs a server: give --base-url, for example http://localhost:8000/v1")
        base_url = check_base_url(base_url)
        if is_address:
            name = served_model(base_url, self.api_key_env)
        if (folder := self.tokenizer) is None:
            return ServedModel(name, base_url)
        bos_id, stops = tokenizer_facts(folder if folder.is_dir() else folder.parent)
        return ServedModel(name, base_url, tokenizer=folder, bos_id=bos_id, declared_stops=stops)

    def max_positions(self, model: ServedModel) -> int | None:
        from megatron_rfft.evaluation.engines.openai import served_positions

        return served_positions(model.base_url, model.name, self.api_key_env)

    def start(self, model: ServedModel, start: Start) -> Engine:
        from megatron_rfft.evaluation.engines.openai import OpenAiEngine

        return OpenAiEngine(
            model.name,
            model.base_url,
            start,
            api_key_env=self.api_key_env,
            concurrency=self.concurrency,
            retry_seconds=self.retry_seconds,
        )


ENGINES: dict[str, type[EngineOptions]] = {each.name: each for each in (VllmOptions, HfOptions, ServerOptions)}


def engine_options(name: str, given: dict[str, Any]) -> EngineOptions:
    """The engine ``name`` with the options ``given``. Raises UserError for one that goes with another engine only."""
    kind = ENGINES[name]
    for key in given:
        if key not in {each.name for each in fields(kind)}:
            owner = next(other.name for other in ENGINES.values() if key in {each.name for each in fields(other)})
            raise UserError(f"--{key.replace('_', '-')} goes with --engine {owner}, not {name}")
    return kind(**given)
