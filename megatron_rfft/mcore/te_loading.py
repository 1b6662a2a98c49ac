"""Whether Transformer Engine loads, found out before megatron-core does."""

import importlib
import sys


def why_no_te() -> str:
    """Load Transformer Engine; why that fails, in one line, or an empty string.

    megatron-core expects ImportError alone, of a package that is absent. A broken one raises others (a library that
    does not load, a binding of another release): from here on it counts as absent, too.
    """
    try:
        importlib.import_module("transformer_engine.pytorch")
    except Exception as error:
        sys.modules["transformer_engine"] = None
        return (str(error).strip().splitlines() or [type(error).__name__])[0]
    return ""
