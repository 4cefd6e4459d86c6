"""The whole of asyncio, with fenshen's loop, tasks, futures, queues, locks and streams in it, and nothing installed:
`from fenshen import asyncio`.

The names are asyncio's own. Those of the submodules whose contents differ are here too (`asyncio.queues.Queue` is
ours). A name that asyncio gains later is looked up there.
"""

from __future__ import annotations

import asyncio as _standard
import sys as _sys
from types import ModuleType as _ModuleType

from fenshen import _engine
from fenshen import parts as _parts
from fenshen import runners as _runners

TYPE_CHECKING = False
if TYPE_CHECKING:
    from asyncio import *  # noqa: F403
    from typing import Any as _Any


def _replacements() -> dict[str, dict[str, object]]:
    """Ours, by module and name, for every row of the table that belongs to asyncio and stands for a plain name."""
    found: dict[str, dict[str, object]] = {}
    if _engine.engine() != "native":
        return found
    for part in _parts.all_parts():
        if (
            part.group != "loop"
            or part.trigger != "asyncio"
            or "." in part.attribute
            or part.attribute.startswith("_")
            or (place := part.owner()) is None
        ):
            continue
        ours = part.ours(vars(place[0])[part.attribute])
        if ours is not _parts.MISSING:
            found.setdefault(part.module, {})[part.attribute] = ours
    return found


def _fill(space: dict[str, _Any]) -> None:
    own = {
        "__name__",
        "__doc__",
        "__package__",
        "__loader__",
        "__spec__",
        "__file__",
        "__cached__",
        "__builtins__",
        "__path__",
        "__getattr__",
    }
    space.update({name: value for name, value in vars(_standard).items() if name not in own})
    ours = _replacements()
    ours.setdefault("asyncio", {}).update(
        run=_runners.run, new_event_loop=_runners.new_event_loop, get_event_loop=_runners.get_event_loop
    )
    ours.setdefault("asyncio.events", {}).update(
        new_event_loop=_runners.new_event_loop, get_event_loop=_runners.get_event_loop
    )
    ours.setdefault("asyncio.runners", {}).update(run=_runners.run)
    if hasattr(_standard, "Runner"):
        ours["asyncio"]["Runner"] = ours["asyncio.runners"]["Runner"] = _runners.Runner
    for module, names in ours.items():
        if module == "asyncio":
            space.update(names)
        else:
            short = module.rpartition(".")[2]
            space[short] = _shadow(_sys.modules[module], f"{__name__}.{short}", names)


def _shadow(module: _ModuleType, name: str, names: dict[str, object]) -> _ModuleType:
    """A copy of a submodule with our names in it, importable too: `from fenshen.asyncio.queues import Queue`."""
    shadow = _ModuleType(name, module.__doc__)
    shadow.__dict__.update(
        {key: value for key, value in vars(module).items() if key not in ("__name__", "__spec__", "__loader__")}
    )
    shadow.__dict__.update(names)
    _sys.modules[name] = shadow
    return shadow


_fill(globals())


def __getattr__(name: str) -> _Any:
    try:
        return getattr(_standard, name)
    except AttributeError:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}") from None


def __dir__() -> list[str]:
    return sorted({*globals(), *dir(_standard)})
