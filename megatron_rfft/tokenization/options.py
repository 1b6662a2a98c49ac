"""What a data set is asked to be, and what worker processes need to know to make it."""

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from megatron_rfft.common.errors import UserError
from megatron_rfft.data.indexed import token_dtype
from megatron_rfft.tokenization.engines import ENGINES
from megatron_rfft.tokenization.records import Fields
from megatron_rfft.tokenization.sources import Source
from megatron_rfft.tokenization.tokenizers import Tokenizer, load_tokenizer


@dataclass(frozen=True)
class Options:
    """How to tokenize; all but ``engine`` decides the data set's bytes. Raises UserError for what cannot be."""

    tokenizer: Path
    chat: bool = False
    bos: bool = False
    stop_token: str | None = None
    """Given where the tokenizer declares none or another one."""
    max_tokens: int | None = None
    skip_too_long: bool = False
    fields: Fields = field(default_factory=Fields)
    engine: str = "auto"
    """auto, fastokens or tokenizers; they give the same ids."""

    def __post_init__(self) -> None:
        if self.engine not in ENGINES:
            raise UserError(f"engine {self.engine!r} is unknown; choose one of {', '.join(ENGINES)}")
        if self.max_tokens is not None and self.max_tokens < 1:
            raise UserError(f"--max-tokens is {self.max_tokens}; allow at least 1, or leave it out")
        if self.skip_too_long and self.max_tokens is None:
            raise UserError("--too-long skip needs a limit; give --max-tokens")
        if self.fields.messages and not self.chat:
            raise UserError("conversations go through the chat template; give --chat")

    @property
    def fast_file(self) -> Path | None:
        """The ``tokenizer.json`` that fastokens may encode with, if it is there and may be used."""
        file = self.tokenizer / "tokenizer.json" if self.tokenizer.is_dir() else self.tokenizer
        return file if self.engine != "tokenizers" and file.name == "tokenizer.json" and file.is_file() else None

    def load(self) -> Tokenizer:
        """The tokenizer. Raises UserError if it lacks what the options ask for."""
        tokenizer = load_tokenizer(self.tokenizer, self.stop_token)
        if self.chat:
            wrapped = tokenizer.chat_prompt("x")
            if self.bos and tokenizer.bos_id in tokenizer.encode(wrapped)[:1]:
                raise UserError("the chat template itself writes the token of the beginning; leave --bos out")
        if self.bos and tokenizer.bos_id is None:
            raise UserError(f"{self.tokenizer} has no token of the beginning (bos_token); leave --bos out")
        return tokenizer

    def encoding(self, tokenizer: Tokenizer, engine: str) -> "Encoding":
        """What worker processes need to know."""
        return Encoding(
            options=self,
            tokenizer=tokenizer.path,
            engine=engine,
            vocab_size=tokenizer.vocab_size,
            stop_id=tokenizer.stop_id,
            bos_id=tokenizer.bos_id if self.bos else None,
            special_tokens=tokenizer.special_tokens,
        )

    def inputs(self, source: Source, tokenizer: Tokenizer) -> dict[str, Any]:
        """For the manifest: what the data set is made from, in checksums."""
        template = tokenizer.chat_template if self.chat else None
        return {
            "source": source.identity,
            "tokenizer_sha256": tokenizer.sha256,
            "stop_id": tokenizer.stop_id,
            "bos_id": tokenizer.bos_id if self.bos else None,
            "chat": self.chat,
            "chat_template_sha256": template and hashlib.sha256(template.encode()).hexdigest(),
            "max_tokens": self.max_tokens,
            "skip_too_long": self.skip_too_long,
            "fields": self.fields.record(),
            **({"chat_date": tokenizer.chat_date} if self.chat and tokenizer.chat_date else {}),
        }


@dataclass(frozen=True)
class Encoding:
    """All that decides how records become tokens; small, so that it travels to worker processes."""

    options: Options
    tokenizer: Path
    """The path that it is loaded from."""
    engine: str
    """fastokens, tokenizers or sentencepiece."""
    vocab_size: int
    stop_id: int
    bos_id: int | None
    """Put before each prompt, unless None."""
    special_tokens: dict[int, str]
    """Ids that a response must not hold, with how they are written; the stop token is one of them."""

    @property
    def dtype(self) -> np.dtype:
        return token_dtype(self.vocab_size)
