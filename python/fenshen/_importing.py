"""Calls back right after chosen modules have been imported, so that a program which never imports them pays
nothing for our replacements.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from importlib.machinery import ModuleSpec
    from types import ModuleType
    from typing import Any


class Finder:
    """A finder that finds nothing by itself: it lets the others find, and marks the loader they give for the
    modules in `names`.
    """

    def __init__(self, names: set[str], done: Callable[[str], None]):
        self.names = names
        self.done = done

    def find_spec(self, name: str, path: Any = None, target: ModuleType | None = None) -> ModuleSpec | None:
        """The spec of the other finders, for a module in `names`; None otherwise."""
        if name not in self.names:
            return None
        for finder in sys.meta_path:
            find = None if finder is self else getattr(finder, "find_spec", None)
            spec: ModuleSpec | None = find(name, path, target) if find else None
            if spec is not None:
                self._mark(spec.loader, name)
                return spec
        return None

    def _mark(self, loader: Any, name: str) -> None:
        """Shadow this one loader's `exec_module` until it has run for `name`; nothing is left on it afterwards."""
        run = getattr(loader, "exec_module", None)
        if run is None or not hasattr(loader, "__dict__"):
            return
        before = vars(loader).get("exec_module")

        def exec_module(module: ModuleType) -> None:
            if module.__spec__ is None or module.__spec__.name != name:
                run(module)  # a loader that is shared with another module
                return
            if before is None:
                vars(loader).pop("exec_module", None)
            else:
                loader.exec_module = before
            run(module)
            self.done(name)

        # A module that fails to import has a traceback without the import system's frames, and warnings look past
        # them; so ours must count as one.
        exec_module.__code__ = exec_module.__code__.replace(co_filename="<frozen importlib._bootstrap_external>")
        loader.exec_module = exec_module
