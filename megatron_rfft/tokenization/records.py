"""The prompt-response records in chunks of input, each with the file and line where it stands.

A record has a prompt and a response, or the messages of a conversation: then the last one, which has to be the
assistant's, is the response, and all before it are the prompt.
"""

import re
from codecs import BOM_UTF8, BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, fields
from typing import Any, Literal

import msgspec

from megatron_rfft.common.errors import UserError
from megatron_rfft.tasks import SPLITS
from megatron_rfft.tokenization.chunks import BadRow, Chunk, DamagedInput
from megatron_rfft.tokenization.tokenizers import Prompt, TemplateRefusal

MOST_NAMED = 5  # skipped records that are named in the manifest
MAX_LENGTH = 2**16 - 1
GENERAL = "general"


class BadRecord(ValueError):
    """A record that cannot be used: the ``reason``, and the name of the ``field`` that is wrong, where it is one."""

    def __init__(self, reason: str, field: str | None = None):
        super().__init__(reason, field)
        self.reason, self.field = reason, field

    def __str__(self) -> str:
        return self.reason


class ChatMessage(msgspec.Struct, gc=False):
    """A turn of a conversation."""

    role: Literal["system", "user", "assistant"]
    content: str
    tool_calls: Any = None


@dataclass(frozen=True)
class Fields:
    """The names of a record's fields, and what happens with a record that lacks them or cannot be read."""

    prompt: str = "prompt"
    response: str = "response"
    skip_bad: bool = False
    messages: str | None = None
    """Field of a conversation, instead of prompt and response."""
    task: str | None = None
    """Name of records that name no task; None: "general" for conversations, nothing for others."""
    task_field: str = "task"
    """Field of the task's name, as a corpus has it; "": no field is, whatever it is called. So the next three."""
    length_field: str = "length"
    form_field: str = "form"
    split_field: str = "split"
    """Field of the split of instances; a value that is none of a corpus' says nothing."""

    @property
    def default_task(self) -> str:
        """The task of a record that names none."""
        return self.task if self.task is not None else GENERAL if self.messages else ""

    @property
    def required(self) -> dict[str, tuple[str, type]]:
        """The fields that a record must have: their names in the input, and their types."""
        if self.messages:
            return {"messages": (self.messages, list[ChatMessage])}
        return {"prompt": (self.prompt, str), "response": (self.response, str)}

    def record(self) -> dict[str, Any]:
        """As JSON values, for a manifest; what a data set of another version lacks stands only where it is set."""
        always = ("prompt", "response", "skip_bad")
        values = [(f, getattr(self, f.name)) for f in fields(self)]
        return {f.name: value for f, value in values if f.name in always or value != f.default}

    @property
    def optional(self) -> dict[str, tuple[str, Any]]:
        """The fields of a corpus, which may be absent: their names in the input, and their types."""
        kinds = {"task": str | None, "length": int | None, "form": str | None, "split": Any}
        names = {key: getattr(self, f"{key}_field") for key in kinds}
        taken = ["", *(name for name, _ in self.required.values())]
        return {key: (names[key], kind) for key, kind in kinds.items() if names[key] not in taken}

    def record_type(self) -> type:
        """The struct of a record: what is ``required``, and what is ``optional``."""
        required = [(key, kind) for key, (_, kind) in self.required.items()]
        optional = [(key, kind, None) for key, (_, kind) in self.optional.items()]
        names = {key: name for key, (name, _) in {**self.required, **self.optional}.items()}
        return msgspec.defstruct("Record", required + optional, rename=names, gc=False)


@dataclass
class Skipped:
    """Records that were left out: how many, and the first of them by file and line."""

    bad: int = 0
    too_long: int = 0
    first: list[str] = field(default_factory=list)

    def note(self, message: str) -> None:
        if len(self.first) < MOST_NAMED:
            self.first.append(message)

    def add(self, other: "Skipped") -> None:
        self.bad += other.bad
        self.too_long += other.too_long
        for message in other.first:
            self.note(message)


class Document(msgspec.Struct, frozen=True, gc=False):
    """A record that can be used; its texts are those that are encoded."""

    row: int
    prompt: str
    response: str
    task: str
    length: int
    form: str | None
    split: str | None
    """Of the instance; None where the record names no split of a corpus."""


def read_documents(
    chunk: Chunk, fields: Fields, skipped: Skipped, wrap: Callable[[Prompt], str] | None = None
) -> Iterator[Document]:
    """The documents of a chunk in their order; blank lines are passed over.

    ``wrap`` puts prompts into the chat template; without it they stay as they are. A bad record raises UserError with
    its file and line, or, with ``fields.skip_bad``, is counted in ``skipped``. A damaged file always raises UserError:
    how many records are lost in it, nobody knows.
    """
    record_type = fields.record_type()
    decode = msgspec.json.Decoder(record_type).decode
    row = -1
    rows = enumerate(chunk.rows())
    while True:
        try:
            row, raw = next(rows)
            if isinstance(raw, bytes):
                raw = raw.removeprefix(BOM_UTF8)  # Windows begins files with it, and they may have been joined
                if raw.isspace() or not raw:
                    continue
                record = _decoded(raw, decode)
            elif isinstance(raw, BadRow):
                raise BadRecord(raw.reason)
            else:
                record = msgspec.convert(raw, record_type)
            yield _document(row, record, fields, wrap)
        except StopIteration:
            return
        except DamagedInput as error:  # found at the row after the last that could be read
            raise UserError(f"{chunk.place(row + 1)}: {error}; restore the file") from error
        except (msgspec.MsgspecError, UnicodeDecodeError, BadRecord, TemplateRefusal) as error:
            bad = _bad_record(error)
            refuse(chunk, row, bad.reason, _fix(bad, fields), fields, skipped)


def _decoded(line: bytes, decode: Callable[[bytes], Any]) -> Any:
    try:
        return decode(line)
    except RecursionError as error:
        raise BadRecord("is nested too deeply for JSON") from error
    except msgspec.MsgspecError as error:
        if line.startswith((BOM_UTF16_LE, BOM_UTF16_BE)):
            raise BadRecord("is UTF-16; save the file as UTF-8") from error
        if line.startswith(b"["):
            raise BadRecord("is a JSON array; write one object a line") from error
        raise


def _document(row: int, record: Any, fields: Fields, wrap: Callable[[Prompt], str] | None) -> Document:
    length = getattr(record, "length", None) or 0
    if not 0 <= length <= MAX_LENGTH:
        raise BadRecord(f"length {length} is not between 0 and {MAX_LENGTH}", fields.length_field)
    prompt, response = _split(record.messages) if fields.messages else (record.prompt, record.response)
    if not prompt:
        raise BadRecord("the prompt is empty: the response's first token could not be predicted")
    task, form = getattr(record, "task", None) or fields.default_task, getattr(record, "form", None)
    named = getattr(record, "split", None)
    split = named if isinstance(named, str) and named in SPLITS else None
    return Document(row, wrap(prompt) if wrap else prompt, response, task, length, form, split)


def _split(messages: list[ChatMessage]) -> tuple[list[dict[str, str]], str]:
    """The messages that are given, and the text of the last one, which is learned."""
    roles = [message.role for message in messages]
    if roles[-1:] != ["assistant"]:
        raise BadRecord(f"the conversation ends with {roles[-1] if roles else 'nothing'}, not with the assistant")
    if "user" not in roles:
        raise BadRecord("the conversation has no message of the user")
    if any(message.tool_calls for message in messages):
        raise BadRecord("the conversation has tool calls, which are not supported")
    *given, last = messages
    return [{"role": message.role, "content": message.content} for message in given], last.content


def _bad_record(error: Exception) -> BadRecord:
    if isinstance(error, BadRecord):
        return error
    if isinstance(error, msgspec.ValidationError):  # words alone, such as "Expected `int`, got `str` - at `$.length`"
        what, _, place = str(error).partition(" - at `$.")
        where = f" at field `{place}" if place else ""
        return BadRecord(f"{what[0].lower()}{what[1:]}{where}", re.split(r"[\[.`]", place)[0] or None)
    if isinstance(error, UnicodeDecodeError):
        return BadRecord(f"is not UTF-8 ({error.reason} at byte {error.start} of a text)")
    if isinstance(error, msgspec.DecodeError):
        return BadRecord(f"is not valid JSON ({error})")
    return BadRecord(str(error))


def _fix(bad: BadRecord, fields: Fields) -> str:
    """What to do about a bad record: a field of another's data may mean something else than in a corpus."""
    for key, (name, _) in fields.optional.items():
        if bad.field == name:
            return f"fix it, give another field with --{key}-field NAME, or none with --{key}-field ''"
    return "fix it"


def refuse(chunk: Chunk, row: int, reason: str, fix: str, fields: Fields, skipped: Skipped) -> None:
    """Raise UserError for a bad record, or, with ``fields.skip_bad``, count it in ``skipped``."""
    if fields.skip_bad and skipped.bad >= MOST_NAMED:  # its place would not be named: spare the search for it
        skipped.bad += 1
        return
    message = f"{chunk.place(row)}: {reason}"
    if not fields.skip_bad:
        raise UserError(f"{message}; {fix}, or leave out what is bad with --on-bad skip")
    skipped.bad += 1
    skipped.note(message)
