"""Tokenizers: an HF folder (``tokenizer.json``) or a SentencePiece ``.model``, behind one small interface."""

import re
import shutil
from abc import ABC, abstractmethod
from collections.abc import Sequence
from datetime import date
from functools import cached_property
from pathlib import Path

from megatron_rfft.common.errors import UserError
from megatron_rfft.common.files import read_json, require_file, sha256_file, write_json
from megatron_rfft.tokenization.engines import load_backend
from megatron_rfft.tokenization.hf_export import KEEP_TOKENIZER_JSON, settle_config

STOP_TOKEN_NAMES = ("<|im_end|>", "<|endoftext|>", "</s>", "<eos>")


Prompt = str | list[dict[str, str]]
"""A user's message, or messages with ``role`` and ``content``."""


CHAT_DATE = date(2024, 7, 26)
"""Today, for chat templates: what Llama 3's write where they know of no clock."""
_CLOCK = "strftime_now"
_CLOCK_CALL = re.compile(rf"{_CLOCK}\(\s*(?P<quote>[\"'])(?P<format>.*?)(?P=quote)\s*\)")


class TemplateRefusal(ValueError):
    """Messages that cannot be put into the chat template; the message says why."""


class Tokenizer(ABC):
    """Text to ids and back. ``stop_id`` ends every response; ``vocab_size`` is the largest id plus one."""

    path: Path
    stop_id: int
    bos_id: int | None
    """The token that begins a text, if the tokenizer has one; it is added only where that is asked for."""
    vocab_size: int

    @abstractmethod
    def token_id(self, token: str) -> int | None:
        """The id of the one token that is written ``token``."""

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

    def chat_prompt(self, prompt: Prompt) -> str:
        """The text from which a chat model answers ``prompt``: up to where its answer begins.

        Raises UserError if the tokenizer has no chat template, TemplateRefusal if that does not take these messages, or
        if one of them holds the text of a special token, which would count as one.
        """
        raise UserError(f"{self.path} has no chat template; leave --chat out, or give the HF folder of a chat model")

    @property
    def chat_template(self) -> str | None:
        """The template by which ``chat_prompt`` goes, if there is one. Where it writes today's date, that is CHAT_DATE:
        training and evaluation would else see other prompts every day.
        """
        return None

    @property
    def chat_date(self) -> str | None:
        """CHAT_DATE where the template writes a date, else None."""
        return None

    @property
    def special_tokens(self) -> dict[int, str]:
        """Ids that no plain text may become, with how they are written: the stop token and those of conversations."""
        return {self.stop_id: self.decode([self.stop_id])}

    def encode(self, text: str) -> list[int]:
        """Ids of one text."""
        return self.encode_batch([text])[0]

    def _require_token(self, token: str) -> int:
        found = self.token_id(token)
        if found is None:
            raise UserError(f"{self.path} has no token {token!r}; name one of its vocabulary with --stop-token")
        return found

    @property
    def sha256(self) -> str:
        """Checksum of the file that defines the tokenizer."""
        return sha256_file(self.path)


class HFTokenizer(Tokenizer):
    """A ``tokenizer.json``, encoded by the ``tokenizers`` library."""

    def __init__(self, folder: Path, stop_token: str | None = None):
        self.path = require_file(folder / "tokenizer.json", "an HF tokenizer folder holds a tokenizer.json")
        self._backend = load_backend(self.path)
        self.vocab_size = max(self._backend.get_vocab(with_added_tokens=True).values()) + 1
        self._stop_token = stop_token
        self.stop_id = self._find_stop_id() if stop_token is None else self._require_token(stop_token)
        self.bos_id = self.token_id(self._declared("bos_token") or "<s>")

    @property
    def _config(self) -> dict:
        file = self.path.with_name("tokenizer_config.json")
        return read_json(file) if file.is_file() else {}

    def _declared(self, name: str) -> str | None:
        """A special token as tokenizer_config.json names it, or where that does not, special_tokens_map.json."""
        file = self.path.with_name("special_tokens_map.json")
        token = self._config.get(name) or (read_json(file).get(name) if file.is_file() else None)
        return token.get("content") if isinstance(token, dict) else token

    def _find_stop_id(self) -> int:
        declared = self._declared("eos_token")
        for name in [declared] if declared else STOP_TOKEN_NAMES:
            if (token_id := self.token_id(name)) is not None:
                return token_id
        raise UserError(
            f"{self.path.parent}: no stop token found (eos_token is {declared!r}); set eos_token in "
            "tokenizer_config.json, or give --stop-token"
        )

    def token_id(self, token: str) -> int | None:
        return self._backend.token_to_id(token)

    def encode_batch(self, texts: list[str]) -> list[list[int]]:
        return [encoding.ids for encoding in self._backend.encode_batch_fast(texts, add_special_tokens=False)]

    def decode(self, ids: list[int]) -> str:
        return self._backend.decode(ids, skip_special_tokens=False)

    @cached_property
    def chat_template(self) -> str | None:
        template = self._given_template
        return template and freeze_clock(template, self.path.parent)

    @property
    def _given_template(self) -> str | None:
        """The template, the default one where there are several by name."""
        given = self._chat.chat_template
        if isinstance(given, dict):
            if "default" not in given:
                raise UserError(
                    f"{self.path.parent} has the chat templates {', '.join(given)}, and none of them is called "
                    "default; keep one, as chat_template.jinja"
                )
            return given["default"]
        return given

    @property
    def chat_date(self) -> str | None:
        if self.chat_template is None or self.chat_template == self._given_template:
            return None
        return CHAT_DATE.isoformat()

    def chat_prompt(self, prompt: Prompt) -> str:
        from jinja2 import TemplateError

        if self.chat_template is None:
            return super().chat_prompt(prompt)
        messages = [{"role": "user", "content": prompt}] if isinstance(prompt, str) else prompt
        for message in messages:
            if found := self._special_pattern.search(message["content"]):
                raise TemplateRefusal(f"the {message['role']}'s message holds the special token {found[0]!r}")
        try:
            return self._chat.apply_chat_template(
                messages, chat_template=self.chat_template, tokenize=False, add_generation_prompt=True
            )
        except TemplateError as error:
            raise TemplateRefusal(f"the chat template does not take the conversation ({error})") from error

    @cached_property
    def special_tokens(self) -> dict[int, str]:
        added = self._backend.get_added_tokens_decoder()
        # What any text may become that the vocabulary lacks.
        unknown = {"<unk>", "[UNK]", self._declared("unk_token"), getattr(self._backend.model, "unk_token", None)}
        special = {number: token.content for number, token in added.items() if token.special}
        stop = {self.stop_id: self._backend.id_to_token(self.stop_id)}
        return {number: text for number, text in {**special, **stop}.items() if text not in unknown}

    @cached_property
    def _special_pattern(self) -> re.Pattern:
        texts = sorted(self.special_tokens.values(), key=len, reverse=True)
        return re.compile("|".join(map(re.escape, texts)))

    @cached_property
    def _chat(self):
        from transformers import AutoTokenizer

        return AutoTokenizer.from_pretrained(self.path.parent, local_files_only=True)

    def save_pretrained(self, folder: Path, sample: Sequence[str] = ()) -> None:
        for name in ("tokenizer.json", "special_tokens_map.json", "chat_template.jinja"):
            if (self.path.parent / name).is_file():
                shutil.copyfile(self.path.parent / name, folder / name)
        config = self._config
        if self._stop_token is not None:
            config["eos_token"] = self._stop_token
        several = isinstance(config.get("chat_template"), list)
        if (several or _CLOCK in self._written_template) and self.chat_template is not None:
            config.pop("chat_template", None)
            (folder / "chat_template.jinja").write_text(self.chat_template, encoding="utf-8")
        settle_config(folder, config, sample)

    @property
    def _written_template(self) -> str:
        """The template as it lies in the folder, without loading transformers."""
        file = self.path.with_name("chat_template.jinja")
        return file.read_text(encoding="utf-8") if file.is_file() else str(self._config.get("chat_template"))


class SentencePieceTokenizer(Tokenizer):
    """A SentencePiece ``.model``; exported as an equivalent ``tokenizer.json``."""

    def __init__(self, path: Path, stop_token: str | None = None):
        import sentencepiece

        self.path = require_file(path)
        try:
            self._processor = sentencepiece.SentencePieceProcessor(model_file=str(path))
        except RuntimeError as error:
            raise UserError(f"{path} is not a SentencePiece model ({error}); give a .model file") from error
        self.vocab_size = self._processor.get_piece_size()
        self.stop_id = self._processor.eos_id() if stop_token is None else self._require_token(stop_token)
        if self.stop_id < 0:
            raise UserError(f"{path} has no end-of-sentence piece; train it with eos_id set, or give --stop-token")
        self.bos_id = self._processor.bos_id() if self._processor.bos_id() >= 0 else None

    @cached_property
    def special_tokens(self) -> dict[int, str]:
        pieces = {number: self._processor.id_to_piece(number) for number in range(self.vocab_size)}
        return {number: piece for number, piece in pieces.items() if self._processor.is_control(number)}

    def token_id(self, token: str) -> int | None:
        found = self._processor.piece_to_id(token)
        return found if self._processor.id_to_piece(found) == token else None

    def encode_batch(self, texts: list[str]) -> list[list[int]]:
        return self._processor.encode(texts)

    def decode(self, ids: list[int]) -> str:
        return self._processor.decode(ids)

    def save_pretrained(self, folder: Path, sample: Sequence[str] = ()) -> None:
        from megatron_rfft.tokenization.sentencepiece_export import to_tokenizer_json

        (folder / "tokenizer.json").write_text(to_tokenizer_json(self.path, sample), encoding="utf-8")
        eos = self._processor.id_to_piece(self.stop_id)
        write_json(folder / "tokenizer_config.json", {"eos_token": eos, **KEEP_TOKENIZER_JSON})


def freeze_clock(template: str, where: Path) -> str:
    """The chat template with CHAT_DATE for each call of ``strftime_now``.

    Raises UserError if a call's format is not written out.
    """
    frozen = _CLOCK_CALL.sub(lambda call: repr(CHAT_DATE.strftime(call["format"])), template)
    if f"{_CLOCK}(" in frozen:
        raise UserError(f"the chat template of {where} asks for today's date in a form that is computed; write a date")
    return frozen


def load_tokenizer(path: Path | str, stop_token: str | None = None) -> Tokenizer:
    """Load an HF folder, its ``tokenizer.json``, or a SentencePiece ``.model``; responses end in ``stop_token``.

    Without that, in the end-of-sequence token that the tokenizer declares. Raises UserError for anything else.
    """
    path = Path(path)
    if path.is_dir():
        return HFTokenizer(path, stop_token)
    if path.name == "tokenizer.json":
        return HFTokenizer(path.parent, stop_token)
    if path.suffix == ".model":
        return SentencePieceTokenizer(path, stop_token)
    raise UserError(f"no tokenizer at {path}; give an HF folder with a tokenizer.json or a SentencePiece .model file")
