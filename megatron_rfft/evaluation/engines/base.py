"""What an engine takes and gives: token ids; text only where the engine is another's server."""

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from megatron_rfft.common.number_formats import NUMBER_FORMATS

DTYPES = ("auto", *NUMBER_FORMATS)


@dataclass(frozen=True)
class Request:
    """A prompt's token ids, and how many tokens its answer may take, the stop token included."""

    prompt_ids: list[int]
    max_tokens: int
    text: str = ""
    """The prompt, for an engine that takes no ids."""


@dataclass(frozen=True)
class Completion:
    """The answer to request number ``position``: its ids without the stop token.

    ``stopped`` says that the model ended the answer itself; else it ran into ``max_tokens``.
    """

    position: int
    token_ids: list[int]
    stopped: bool
    budget: int | None = None
    """What a server's context left of ``max_tokens``, where that is less; 0: the prompt could not be asked."""


@dataclass(frozen=True)
class TextCompletion:
    """A Completion of an engine that gives text.

    ``num_tokens`` includes the stop token where the engine counts it; None where it counts none.
    """

    position: int
    text: str
    num_tokens: int | None
    stopped: bool
    budget: int | None = None


AnyCompletion = Completion | TextCompletion


@dataclass(frozen=True)
class Start:
    """What an engine is started with, besides its model and its own options."""

    dtype: str = "auto"
    """One of DTYPES; ``auto`` is fp32 on a CPU and bf16 on a GPU."""
    stop_id: int | None = None
    """The token that ends an answer; None: the engine is asked as text."""
    other_stops: tuple[int, ...] = ()
    """Tokens that end an answer as ``stop_id`` does."""
    max_length: int = 0
    """The longest prompt plus budget that will be asked for, in tokens."""
    max_positions: int | None = None
    """The model's context, where it is known."""
    chat: bool = False
    """Whether prompts are a user's message."""

    @property
    def stops(self) -> list[int]:
        """All tokens that end an answer; none where the engine is asked as text."""
        return [] if self.stop_id is None else [self.stop_id, *self.other_stops]

    @property
    def library_dtype(self) -> str:
        """``dtype`` by the name that torch, Hugging Face and vLLM have for it."""
        return NUMBER_FORMATS.get(self.dtype, self.dtype)


class Engine(ABC):
    """Greedy decoding of many requests."""

    name: str
    version: str
    """The library and its version, such as "vllm 0.32.0+cpu"."""
    dtype: str
    """Of weights and activations: "float32" or "bfloat16"."""
    device: str
    """"cpu", or the GPU's name."""

    @abstractmethod
    def generate(self, requests: Sequence[Request], finished: Collection[int] = ()) -> Iterator[AnyCompletion]:
        """Yield the completion of each request as soon as it is there, in any order.

        ``finished`` are positions that an earlier, killed process has answered: they are not yielded again. The whole
        list is passed nonetheless, so that an engine can form the same batches as that process did.
        """

    @property
    def unanswered(self) -> list[str]:
        """Why requests were given up, one reason each: only an engine that asks elsewhere does that."""
        return []

    def statistics(self) -> dict[str, Any]:
        """What this process can say of its work besides its speed."""
        return {}

    def describe(self) -> dict[str, Any]:
        """What of an engine belongs into a result's provenance."""
        return {"name": self.name, "version": self.version, "dtype": self.dtype, "device": self.device}
