"""Blends: how often each data set's documents appear in an epoch, to the document and without any state.

Of a data set of ``n`` documents with weight ``w``, think of an endless stream of its seeded permutations, one after the
other. Epoch ``e`` takes the documents from ``floor(e w n)`` to ``floor((e + 1) w n)`` of that stream: weight 1 is every
document once, 2 every document twice, 0.5 one half in one epoch and the other half in the next.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from megatron_rfft.common.errors import UserError

_FORMS = "write a prefix, a list of prefixes, {prefix: weight}, or {path: prefix, weight: number}"


@dataclass(frozen=True)
class DataSource:
    """A data set and how often its documents appear in an epoch, relative to once. Raises UserError if ``weight <= 0``
    or is not finite.
    """

    path: str
    """Prefix that rfft tokenize wrote."""
    weight: float = 1.0
    """0.5: another half of the documents each epoch; 1: each once; 2: each twice."""

    def __post_init__(self) -> None:
        if not (math.isfinite(self.weight) and self.weight > 0):
            raise UserError(
                f"the weight of {self.path} is {self.weight}; give a number above 0, or leave the data set out"
            )

    @property
    def exact_weight(self) -> Fraction:
        """The weight as it is written: 0.1 is one tenth, which no float is."""
        return Fraction(repr(float(self.weight)))

    def plain(self) -> str | dict[str, Any]:
        """As it is written into YAML: the prefix alone where the weight is 1."""
        return self.path if self.weight == 1 else {"path": self.path, "weight": self.weight}


def parse_sources(value: Any, name: str = "data.train") -> list[DataSource]:
    """Data sources from what a YAML file or an override holds, in any of its forms (see ``_FORMS``).

    Raises UserError naming ``name`` and the value that is none of them.
    """
    if isinstance(value, (list, tuple)):
        return [source for item in value for source in parse_sources(item, name)]
    if isinstance(value, DataSource):
        return [value]
    if isinstance(value, (str, Path)):
        return [DataSource(str(value))]
    if isinstance(value, Mapping):
        if isinstance(value.get("path"), str):
            if unknown := set(value) - {"path", "weight"}:
                raise UserError(f"{name} has the key {min(map(str, unknown))!r} beside path and weight; {_FORMS}")
            value = {value["path"]: value.get("weight", 1.0)}
        return [DataSource(str(path), _number(weight, path, name)) for path, weight in value.items()]
    raise UserError(f"{name} holds {value!r}; {_FORMS}")


def _number(weight: Any, path: Any, name: str) -> float:
    if isinstance(weight, bool) or not isinstance(weight, (int, float, str)):
        raise UserError(f"{name}: the weight of {path} is {weight!r}; {_FORMS}")
    try:
        return float(weight)
    except ValueError as error:
        raise UserError(f"{name}: the weight of {path} is {weight!r}; {_FORMS}") from error


def check_weights(sources: Sequence[DataSource], counts: Sequence[int]) -> None:
    """Raise UserError if a source (with its number of documents in ``counts``) gives less than a document an epoch."""
    for source, count in zip(sources, counts, strict=True):
        if source.exact_weight * count < 1:
            raise UserError(
                f"the weight {source.weight} of {source.path} takes less than one of its {count} documents an epoch; "
                f"raise it to at least 1/{count}"
            )


def check_alike(manifests: Mapping[str, Mapping[str, Any]]) -> None:
    """Raise UserError unless data sets (manifests by path) may train one model together.

    They have one tokenizer, stop token and beginning. Those of tasks, which have a form, also have one form, and all or
    none of them are in the chat template; general data may be in it where they are not. There is one template.
    """
    rows = [(path, {**manifest["inputs"], "form": manifest["form"]}) for path, manifest in manifests.items()]
    of_tasks = [(path, row) for path, row in rows if row["form"] is not None]
    in_template = [(path, row) for path, row in rows if row["chat"]]
    for members, key, what in (
        (rows, "tokenizer_sha256", "tokenizer"),
        (rows, "stop_id", "stop token"),
        (rows, "bos_id", "token of the beginning (--bos)"),
        (of_tasks, "form", "form"),
        (of_tasks, "chat", "use of the chat template (--chat)"),
        (in_template, "chat_template_sha256", "chat template"),
    ):
        for path, row in members[1:]:
            first, expected = members[0]
            if row[key] != expected[key]:
                values = f" ({row[key]!r} and {expected[key]!r})" if not key.endswith("sha256") else ""
                raise UserError(f"{path} and {first} differ in their {what}{values}; tokenize them alike")


def epoch_documents(sources: Sequence[DataSource], counts: Sequence[int], seed: int, epoch: int) -> np.ndarray:
    """Documents of an epoch, source after source; int64 indices into the concatenated sources.

    ``counts`` are the sources' numbers of documents. A document appears as often as its source's weight says.
    """
    taken, offset = [], 0
    for number, (source, count) in enumerate(zip(sources, counts, strict=True)):
        share = source.exact_weight * count
        first, last = math.floor(epoch * share), math.floor((epoch + 1) * share)
        for cycle in range(first // count, -(-last // count)):
            begin, end = max(first - cycle * count, 0), min(last - cycle * count, count)
            if end - begin == count:
                taken.append(offset + np.arange(count))
            else:
                taken.append(offset + _permutation(count, seed, cycle, number)[begin:end])
        offset += count
    return np.concatenate(taken)


def _permutation(count: int, seed: int, cycle: int, source: int) -> np.ndarray:
    return np.random.default_rng([seed, cycle, source + 1]).permutation(count)
