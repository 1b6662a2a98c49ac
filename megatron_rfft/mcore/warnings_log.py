"""What megatron-core warns of: into a file instead of a user's terminal, each message once.

It warns of every optional package that is absent, and of settings that it changes by itself. Until a run says where its
file is, warnings are kept; errors are shown on stderr at once.
"""

import logging
import os
import warnings
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_CORE = f"{os.sep}megatron{os.sep}core{os.sep}"
_LOGGER = logging.getLogger("megatron")
_FORMAT = logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s")


class _Kept(logging.Handler):
    """Holds what is said before there is a file: mostly on import."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.records: deque[logging.LogRecord] = deque(maxlen=1000)

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)


class _Once(logging.Filter):
    """Lets each message of a handler through once: some are repeated with every layer or step."""

    def __init__(self) -> None:
        super().__init__()
        self._seen: set[str] = set()

    def filter(self, record: logging.LogRecord) -> bool:
        message = record.getMessage()
        is_new = message not in self._seen
        self._seen.add(message)
        return is_new


_kept = _Kept()


def install() -> None:
    """Keep megatron-core's warnings off the terminal; call before it is imported."""
    errors = logging.StreamHandler()
    errors.setLevel(logging.ERROR)
    _LOGGER.setLevel(logging.WARNING)
    _LOGGER.propagate = False
    for handler in (errors, _kept):
        handler.addFilter(_Once())
        _LOGGER.addHandler(handler)
    shown = warnings.showwarning

    def show(message, category, filename, lineno, file=None, line=None) -> None:
        if file is None and _CORE in filename:
            place = f"{filename.rpartition(_CORE)[2]}:{lineno}"
            _LOGGER.warning("%s: %s: %s", place, category.__name__, message)
        else:
            shown(message, category, filename, lineno, file, line)

    warnings.showwarning = show
    warnings.filterwarnings("default", module=r"megatron\.core")


@contextmanager
def write_warnings(file: Path) -> Iterator[None]:
    """Append what megatron-core warned of before, and what it warns of within the block, to ``file``."""
    handler = logging.FileHandler(file, encoding="utf-8", delay=True)
    handler.setLevel(logging.WARNING)
    handler.setFormatter(_FORMAT)
    handler.addFilter(_Once())
    for record in _kept.records:
        handler.handle(record)
    _kept.records.clear()
    _LOGGER.removeHandler(_kept)
    _LOGGER.addHandler(handler)
    try:
        yield
    finally:
        _LOGGER.removeHandler(handler)
        _LOGGER.addHandler(_kept)
        handler.close()
