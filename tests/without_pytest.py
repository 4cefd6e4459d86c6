"""Stands in for pytest where a child imports a test's module for one of its functions.

Importing the true one would take longer than all that the child does.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any


class Nothing(ModuleType):
    """Marks and fixtures leave a function as it is; anything that a test would use beyond them is an error."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return self

    def __call__(self, *args: Any, **options: Any) -> Any:
        return args[0] if len(args) == 1 and callable(args[0]) and not options else self


def stand_in() -> None:
    """Put it where `import pytest` finds it, unless the true one is there: in the process that runs the tests."""
    sys.modules.setdefault("pytest", Nothing("pytest"))
