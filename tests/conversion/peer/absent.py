"""Packages for GPUs that Megatron-Bridge imports, and calls nothing of where it loads and saves weights on a CPU."""

import sys
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

ROOTS = ("modelopt", "transformer_engine", "triton")


class _Name(type):
    """A class to be inherited from or called; any attribute is another one."""

    def __getattr__(cls, name):
        return _name(name)


def _name(name):
    if name.startswith("__"):
        raise AttributeError(name)
    return _Name(name, (), {"__init__": lambda self, *args, **kwargs: None, "__call__": lambda self, *args: self})


class _Module(ModuleType):
    __path__: list = []
    __version__ = "2.10.0"

    def __getattr__(self, name):
        return _name(name)


class _Absent(MetaPathFinder, Loader):
    def find_spec(self, name, path=None, target=None):
        return ModuleSpec(name, self, is_package=True) if name.partition(".")[0] in ROOTS else None

    def create_module(self, spec):
        return _Module(spec.name)

    def exec_module(self, module):
        pass


def install() -> None:
    """Let imports of ROOTS succeed. megatron-core looks for them first, and goes on without."""
    import_module("megatron.core.models.gpt.gpt_layer_specs")
    assert not import_module("megatron.core.extensions.transformer_engine").HAVE_TE
    sys.meta_path.append(_Absent())
