"""Tokenizers: an HF folder (``tokenizer.json``) or a SentencePiece ``.model``, behind one small interface."""

import shutil
from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

from megatron_rfft.common.errors import UserError
from megatron_rfft.common.files import read_json, require_file, sha256_file, write_json

STOP_TOKEN_NAMES = ("<|im_end|>", "<|endoftext|>", "</s>", "<eos>")


class Tokenizer(ABC):
    """Text to ids and back. ``stop_id`` ends every response; ``vocab_size`` is the largest id plus one."""

    path: Path
    stop_id: int
    vocab_size: int

    @abstractmethod
    def encode_batch(self, texts: list[str]) -> list[list[int]]:
        """Ids of each text; no special token is added."""

    @abstractmethod
    def decode(self, ids: list[int]) -> str:
        """Text of ``ids``; the inverse of encoding for every text that this project writes."""

    @abstractmethod
    def save_pretrained(self, folder: Path, sample: Sequence[str] = ()) -> None:
        """Write the files from which transformers and vLLM load the same tokenizer into ``folder``.

        Where that takes a conversion, equal ids are proven, also on the texts of ``sample``. Raises UserError if not.
        """

    def chat_prompt(self, prompt: str) -> str:
        """The text from which a chat model answers the user's message ``prompt``: up to where its answer begins.

        Raises UserError if the tokenizer has no chat template.
        """
        raise UserError(f"{self.path} has no chat template; leave --chat out, or give the HF folder of a chat model")

    def encode(self, text: str) -> list[int]:
        """Ids of one text."""
        return self.encode_batch([text])[0]

    @property
    def sha256(self) -> str:
        """Checksum of the file that defines the tokenizer."""
        return sha256_file(self.path)


class HFTokenizer(Tokenizer):
    """A ``tokenizer.json``, encoded by the ``tokenizers`` library."""

    def __init__(self, folder: Path):
        from tokenizers import Tokenizer as Backend

        self.path = require_file(folder / "tokenizer.json", "an HF tokenizer folder holds a tokenizer.json")
        self._backend = Backend.from_file(str(self.path))
        self.vocab_size = max(self._backend.get_vocab(with_added_tokens=True).values()) + 1
        self.stop_id = self._find_stop_id(folder)

    def _find_stop_id(self, folder: Path) -> int:
        config_file = folder / "tokenizer_config.json"
        declared = read_json(config_file).get("eos_token") if config_file.is_file() else None
        if isinstance(declared, dict):
            declared = declared.get("content")
        for name in [declared] if declared else STOP_TOKEN_NAMES:
            if (token_id := self._backend.token_to_id(name)) is not None:
                return token_id
        raise UserError(
            f"{folder}: no stop token found (eos_token is {declared!r}); set eos_token in {config_file.name}"
        )

    def encode_batch(self, texts: list[str]) -> list[list[int]]:
        return [encoding.ids for encoding in self._backend.encode_batch_fast(texts, add_special_tokens=False)]

    def decode(self, ids: list[int]) -> str:
        return self._backend.decode(ids, skip_special_tokens=False)

    def chat_prompt(self, prompt: str) -> str:
        if self._chat.chat_template is None:
            return super().chat_prompt(prompt)
        messages = [{"role": "user", "content": prompt}]
        return self._chat.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)

    @cached_property
    def _chat(self):
        from transformers import AutoTokenizer

        return AutoTokenizer.from_pretrained(self.path.parent, local_files_only=True)

    def save_pretrained(self, folder: Path, sample: Sequence[str] = ()) -> None:
        for name in ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "chat_template.jinja"):
            if (self.path.parent / name).is_file():
                shutil.copyfile(self.path.parent / name, folder / name)


class SentencePieceTokenizer(Tokenizer):
    """A SentencePiece ``.model``; exported as an equivalent ``tokenizer.json``."""

    def __init__(self, path: Path):
        import sentencepiece

        self.path = require_file(path)
        try:
            self._processor = sentencepiece.SentencePieceProcessor(model_file=str(path))
        except RuntimeError as error:
            raise UserError(f"{path} is not a SentencePiece model ({error}); give a .model file") from error
        self.vocab_size = self._processor.get_piece_size()
        self.stop_id = self._processor.eos_id()
        if self.stop_id < 0:
            raise UserError(f"{path} has no end-of-sentence piece; train it with eos_id set")

    def encode_batch(self, texts: list[str]) -> list[list[int]]:
        return self._processor.encode(texts)

    def decode(self, ids: list[int]) -> str:
        return self._processor.decode(ids)

    def save_pretrained(self, folder: Path, sample: Sequence[str] = ()) -> None:
        from megatron_rfft.data.sentencepiece_export import to_tokenizer_json

        (folder / "tokenizer.json").write_text(to_tokenizer_json(self.path, sample), encoding="utf-8")
        eos = self._processor.id_to_piece(self.stop_id)
        write_json(folder / "tokenizer_config.json", {"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": eos})


def load_tokenizer(path: Path | str) -> Tokenizer:
    """Load an HF folder, its ``tokenizer.json``, or a SentencePiece ``.model``. Raises UserError for anything else."""
    path = Path(path)
    if path.is_dir():
        return HFTokenizer(path)
    if path.name == "tokenizer.json":
        return HFTokenizer(path.parent)
    if path.suffix == ".model":
        return SentencePieceTokenizer(path)
    raise UserError(f"no tokenizer at {path}; give an HF folder with a tokenizer.json or a SentencePiece .model file")
