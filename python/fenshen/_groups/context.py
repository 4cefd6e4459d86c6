"""Context variables that travel to a worker process: those that can be named there, with values that pickle.

A `ContextVar` cannot be pickled, but one that is a module's global can be named: `package.module:variable`. Each value
is pickled by itself, so one that cannot be does not keep the others back.
"""

from __future__ import annotations

import contextvars
import pickle
import sys
from importlib import import_module

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    Packed = tuple[tuple[str, str, bytes], ...]

__all__ = ["call", "pack"]

_places: dict[contextvars.ContextVar[Any], tuple[str, str]] = {}
_looked_at: list[int] = [0]


def pack(context: contextvars.Context) -> Packed:
    """What of a context can travel: the variables' modules, names and values."""
    found = []
    for variable, value in context.items():
        place = _place(variable)
        if place is None:
            continue
        try:
            found.append((*place, pickle.dumps(value)))
        except Exception:
            continue  # it stays here, as the documentation says
    return tuple(found)


def _place(variable: contextvars.ContextVar[Any]) -> tuple[str, str] | None:
    place = _places.get(variable)
    if place is not None and getattr(sys.modules.get(place[0]), place[1], None) is variable:
        return place
    # Looked for again only when there is somewhere new to look.
    size = len(sys.modules) + len(getattr(sys.modules.get("__main__"), "__dict__", ()))
    if size != _looked_at[0]:
        _look()
        _looked_at[0] = size
    return _places.get(variable)


def _look() -> None:
    for name, module in list(sys.modules.items()):
        for attribute, value in list(getattr(module, "__dict__", {}).items()):
            if type(value) is contextvars.ContextVar:
                _places.setdefault(value, (name, attribute))


def call(packed: Packed, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
    """`fn(*args, **kwargs)` in a context of its own with these variables; called in the worker."""
    context = contextvars.copy_context()
    context.run(_set, packed)
    return context.run(fn, *args, **kwargs)


def _set(packed: Packed) -> None:
    for module, name, value in packed:
        try:
            getattr(import_module(module), name).set(pickle.loads(value))
        except Exception:
            continue  # a module that is not to be had here: nobody can ask for its variable
