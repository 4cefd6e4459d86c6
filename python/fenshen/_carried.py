"""Context variables on their way to another process: those that a module holds, with values that can be pickled."""

from __future__ import annotations

import asyncio
import contextvars
import importlib
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    Variables = Sequence[tuple[str, str, bytes]]

#: Where each variable that was seen is to be found, if anywhere.
_homes: dict[contextvars.ContextVar[Any], tuple[str, str] | None] = {}


def pick() -> list[tuple[str, str, bytes]]:
    """The current context's: module, name, and the value's pickle."""
    context = contextvars.copy_context()
    return _picked(context) if len(context) else []


def _picked(context: contextvars.Context) -> list[tuple[str, str, bytes]]:
    from multiprocessing.reduction import ForkingPickler

    found = []
    for variable, value in context.items():
        home = _homes[variable] if variable in _homes else _find(variable)
        if home is None:
            continue
        try:
            pickle = bytes(ForkingPickler.dumps(value))
        except Exception:  # it is for this process only
            continue
        found.append((*home, pickle))
    return found


def _find(variable: contextvars.ContextVar[Any]) -> tuple[str, str] | None:
    """The module that holds a variable, and its name there."""
    home = None
    for module_name, module in list(sys.modules.items()):
        if module_name == "__mp_main__":
            continue
        for name, value in list(getattr(module, "__dict__", {}).items()):
            if value is variable:
                home = (module_name, name)
                break
        if home is not None:
            break
    _homes[variable] = home
    return home


def put(variables: Variables) -> None:
    """Set them in the current context; one whose value cannot be loaded here stays as it is."""
    import pickle

    for module, name, value in variables:
        try:
            variable = getattr(importlib.import_module(module), name)
            variable.set(pickle.loads(value))
        except Exception:  # it was for the other process only
            continue


def call(variables: Variables, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
    """`function(*args, **kwargs)` with these variables, which are not seen any more when it has returned."""
    context = contextvars.copy_context()
    context.run(put, variables)
    return context.run(function, *args, **kwargs)


async def run(
    function: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    variables: Variables,
    timeout: float | None,
) -> Any:
    """`await function(*args, **kwargs)` with these variables, for so many seconds at most."""
    put(variables)
    if timeout is None:
        return await function(*args, **kwargs)
    return await asyncio.wait_for(function(*args, **kwargs), timeout)
