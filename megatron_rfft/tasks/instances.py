"""Which instance belongs to (task, version, split, length, index): splits that are disjoint by construction.

Where a task has many instances of a length, the hash of an instance's arguments alone decides its split (80 % train,
10 % validation, 10 % test). Each index seeds its own draws, repeated until one falls into the split asked for, so
neighbouring indices share nothing and repeat each other by chance only.

Where it has few (500 or fewer, for example one-digit numbers), they are listed once, put in the order of their
hashes and dealt out in the same shares, at least one to each split while they last (train first, then test). There an
index is a place in the split's list: no two are equal, and an index beyond the last raises NoInstanceError.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from math import ceil, log
from random import Random
from typing import TYPE_CHECKING, Any
from zlib import crc32

import msgspec

from megatron_rfft.common.errors import UserError
from megatron_rfft.rules import copy_value

if TYPE_CHECKING:
    from megatron_rfft.tasks.task import AnyTask, Sampler, Task

SPLITS = ("train", "validation", "test")
FEW = 500  # distinct instances that are listed rather than hashed
_SCREENING = 128  # draws; seven repetitions at most among them show that there are many, of FEW there would be sixteen
_MOST_REPETITIONS = 7
_SPLIT_OF_DIGIT = ("test", "validation", *["train"] * 8)
_TRIES = 4  # indices looked at for each sample asked for
_MAX_DRAWS = 1_000  # a split holds at least 10 %, so that this many misses mean a sampler with a fault

Arguments = tuple[Any, ...]


class NoInstanceError(UserError):
    """The task has fewer distinct instances of this length in this split."""


@dataclass
class DistinctInstances:
    """The first ``samples`` indices of (task, split, length) with different instances, each with what ``look`` kept.

    Fewer where the task has no more of them, or where four times as many indices as asked for show no more. A corpus
    and an evaluation ask the same instances: both take them from here.
    """

    task: "AnyTask"
    split: str
    length: int
    samples: int
    num_duplicates: int = 0
    """Indices passed over so far, because an earlier one has the same instance."""

    def __iter__(self) -> Iterator[tuple[int, bytes | None]]:
        seen: set[int] = set()
        for index in range(_TRIES * self.samples):
            if len(seen) == self.samples:
                return
            try:
                number, kept = self.task.look(self.split, self.length, index)
            except NoInstanceError:
                return
            if number in seen:
                self.num_duplicates += 1
                continue
            seen.add(number)
            yield index, kept


_SMALL = 2**32
_MersenneTwister = Random.__base__
_SEEDS_WHEN_MADE = _MersenneTwister.__init__ is object.__init__  # until Python 3.12: Random seeds it a second time


class Draws(Random):
    """``Random`` whose small numbers cost a third: one float each, instead of bits until they fit.

    The bias of a number below n is n / 2**53 at most. Without the checks of ``Random``: ask for what can be drawn.
    """

    def __init__(self, a: int) -> None:
        if not _SEEDS_WHEN_MADE:
            _MersenneTwister.seed(self, a)
        self.gauss_next = None

    def seed(self, a: int, version: int = 2) -> None:
        _MersenneTwister.seed(self, a)  # without Random's own, which first looks whether ``a`` is text
        self.gauss_next = None

    def _randbelow(self, n: int) -> int:
        return int(self.random() * n) if n < _SMALL else super()._randbelow(n)

    def randrange(self, start: int, stop: int | None = None, step: int = 1) -> int:
        if step != 1:
            return super().randrange(start, stop, step)
        if stop is None:
            start, stop = 0, start
        n = stop - start
        if n <= 0:
            raise ValueError(f"randrange({start}, {stop}) has no number to draw")
        return start + (int(self.random() * n) if n < _SMALL else super()._randbelow(n))

    def randint(self, a: int, b: int) -> int:
        n = b - a + 1
        return a + (int(self.random() * n) if n < _SMALL else super()._randbelow(n))

    def choice(self, seq: Sequence[Any]) -> Any:
        return seq[int(self.random() * len(seq))]

    def choices(self, population: Sequence[Any], weights: Any = None, *, cum_weights: Any = None, k: int = 1) -> list:
        if weights is not None or cum_weights is not None:
            return super().choices(population, weights, cum_weights=cum_weights, k=k)
        random, n = self.random, len(population)
        return [population[int(random() * n)] for _ in range(k)]

    def shuffle(self, x: list) -> None:
        random = self.random
        for i in range(len(x) - 1, 0, -1):
            j = int(random() * (i + 1))
            x[i], x[j] = x[j], x[i]

    def sample(self, population: Sequence[Any], k: int, *, counts: Any = None) -> list:
        """As ``Random.sample``, which removes what it has drawn from a copy where the population is not much larger."""
        n = len(population)
        if counts is not None or not 0 <= k <= n or not isinstance(population, list | tuple | str | range):
            return super().sample(population, k, counts=counts)
        random = self.random
        if n <= 21 or (k > 5 and n <= 21 + 4 ** ceil(log(k * 3, 4))):
            pool, drawn = list(population), []
            for left in range(n, n - k, -1):
                j = int(random() * left)
                drawn.append(pool[j])
                pool[j] = pool[left - 1]
            return drawn
        places: dict[int, None] = {}
        while len(places) < k:
            places[int(random() * n)] = None
        return [population[j] for j in places]


def draw_instance(task: "Task", split: str, length: int, index: int) -> tuple[Arguments, Random, int]:
    """The arguments of one instance, the generator for what else the example has to choose, and a number.

    Two indices of a length with the same instance have the same number. Raises NoInstanceError if ``index`` lies beyond
    the last instance.
    """
    rng = generator(task, split, length, index)
    few = list_if_few(task, length)
    if few is not None:
        if index >= len(few[split]):
            raise NoInstanceError(
                f"task {task.name} has {len(few[split])} {split} instances of length {length}; "
                f"index {index} is beyond them: ask for fewer, or for longer ones"
            )
        return copy_value(few[split][index]), rng, index
    arguments, number = _redraw(task, split, length, rng)
    return arguments, rng, number


def draw_from_split(task: "Task", split: str, length: int, rng: Random) -> Arguments:
    """The arguments of any instance of ``split``, drawn by ``rng``."""
    few = list_if_few(task, length)
    if few is not None and few[split]:
        return copy_value(rng.choice(few[split]))
    return _redraw(task, split, length, rng)[0]


def _redraw(task: "Task", split: str, length: int, rng: Random) -> tuple[Arguments, int]:
    """Draw until an instance of ``split`` comes; the instance, and its hash."""
    instance, name = task.instance, task.seed_name.encode()
    for _ in range(_MAX_DRAWS):
        arguments = instance(rng, length)
        number = _hash(name, arguments)
        if _SPLIT_OF_DIGIT[number % 10] == split:
            return arguments, number
    raise NoInstanceError(f"task {task.name} draws no {split} instance of length {length}; fix its sampler")


def list_if_few(task: "Task", length: int) -> dict[str, list[Arguments]] | None:
    """The distinct instances of each split if there are at most FEW of this length, else None."""
    known = task.few_instances
    if length not in known:
        many = task.grows and any(shorter < length and listed is None for shorter, listed in known.items())
        known[length] = None if many else _listed(task, length)
    return known[length]


_encode = msgspec.json.Encoder().encode


def in_one_order(instance: "Sampler") -> "Sampler":
    """The sampler of a symmetric task: of ``3 + 5`` and ``5 + 3`` one is never drawn.

    Who has been trained on one has seen the answer to the other. Which of the two it is hangs on the pair, so that
    neither the larger nor the smaller one comes first always.
    """

    def sampler(rng: Random, length: int) -> Arguments:
        first, second, *others = instance(rng, length)
        one, other = _encode(first), _encode(second)
        is_ascending = one < other
        pair = one + b"|" + other if is_ascending else other + b"|" + one
        return (first, second, *others) if crc32(pair) & 1 == is_ascending else (second, first, *others)

    return sampler


def instance_key(arguments: Arguments) -> bytes:
    """The canonical text of an instance, JSON without spaces: equal instances, equal keys."""
    return _encode(arguments)


def _listed(task: "Task", length: int) -> dict[str, list[Arguments]] | None:
    rng = generator(task, "list", length, 0)
    found: dict[bytes, Arguments] = {}
    draws = since_last = 0
    while since_last < _SCREENING + 3 * len(found):  # then what is missing is rare, and is left out of every split
        arguments = task.instance(rng, length)
        key = instance_key(arguments)
        draws += 1
        since_last = since_last + 1 if key in found else 0
        found[key] = arguments
        if len(found) > FEW or (draws == _SCREENING and len(found) >= _SCREENING - _MOST_REPETITIONS):
            return None
    name = task.seed_name.encode()
    ordered = sorted(found.values(), key=lambda arguments: _hash(name, arguments))
    share = max(1, len(ordered) // 10)
    num_test = share if len(ordered) > 1 else 0
    num_validation = share if len(ordered) > 2 else 0
    return {
        "test": ordered[:num_test],
        "validation": ordered[num_test : num_test + num_validation],
        "train": ordered[num_test + num_validation :],
    }


def split_of(seed_name: str, arguments: Arguments) -> str:
    """The split that an instance's hash puts it into."""
    return _SPLIT_OF_DIGIT[_hash(seed_name.encode(), arguments) % 10]


def _hash(seed_name: bytes, arguments: Arguments) -> int:
    """Without the version: a new version of a task must not move test instances into the training split."""
    return _digest(b"%b|%b" % (seed_name, _encode(arguments)))


def generator(task: "AnyTask", split: str, length: int, index: int) -> Random:
    """What draws the instance at ``index``, and all that belongs to it."""
    return Draws(_digest(f"{task.seed_name}|{task.version}|{split}|{length}|{index}".encode()))


def _digest(text: bytes) -> int:
    return int.from_bytes(blake2b(text, digest_size=8).digest(), "little")
