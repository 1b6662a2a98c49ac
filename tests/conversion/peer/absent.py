"""Packages that a peer imports, and needs nothing of where it reads and writes checkpoints on a CPU."""

import sys
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType


class _Name(type):
    """A class to be inherited from or called; any attribute is another one."""

    def __getattr__(cls, name):
        return _name(name)


def _name(name):
    if name.startswith("__"):
        raise AttributeError(name)
    members = {"__init__": lambda self, *args, **kwargs: None, "__call__": lambda self, *args, **kwargs: self}
    return _Name(name, (), members | {"__getattr__": lambda self, name: _name(name)})


class _Module(ModuleType):
    __path__: list = []
    __version__ = "2.10.0"

    def __getattr__(self, name):
        return _name(name)


class _Absent(MetaPathFinder, Loader):
    def __init__(self, packages):
        self.packages = packages

    def find_spec(self, name, path=None, target=None):
        return ModuleSpec(name, self, is_package=True) if name.partition(".")[0] in self.packages else None

    def create_module(self, spec):
        return _Module(spec.name)

    def exec_module(self, module):
        pass


def install(*packages: str) -> None:
    """Let imports of ``packages`` succeed."""
    sys.meta_path.append(_Absent(packages))
