"""The modules of `multiprocessing` that are the same here: `fenshen.multiprocessing.util` is `multiprocessing.util`."""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType

_OURS, _THEIRS = "fenshen.multiprocessing.", "multiprocessing."


class _Loader:
    """Gives the import system the module that there is, and the module its own spec back."""

    def __init__(self, name: str):
        self._name = name

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        __import__(self._name)
        module = sys.modules[self._name]
        self._spec = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        module.__spec__ = self._spec


class _Finder:
    """Finds what there is no file for here. It comes first, as the files of `dummy` would be found a second time."""

    def __init__(self, own: bool):
        self._own = {file.partition(".")[0] for file in os.listdir(os.path.dirname(__file__))} if own else set()

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if not name.startswith(_OURS) or name[len(_OURS) :].partition(".")[0] in self._own:
            return None
        from importlib.machinery import ModuleSpec
        from importlib.util import find_spec

        theirs = _THEIRS + name[len(_OURS) :]
        return ModuleSpec(name, _Loader(theirs)) if find_spec(theirs) else None  # type: ignore[arg-type]


def find(own: bool) -> None:
    """Have the import system find them; unless `own`, all of them."""
    sys.meta_path.insert(0, _Finder(own))  # type: ignore[arg-type]
