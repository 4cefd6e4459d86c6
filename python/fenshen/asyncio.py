"""The whole of asyncio, with fenshen's loop, tasks, futures, queues and locks in it, and nothing installed: `from
fenshen import asyncio`.

The names are asyncio's own. Those of the submodules whose contents differ are here too (`asyncio.queues.Queue` is
ours). A name that asyncio gains later is looked up there.
"""

from __future__ import annotations

import asyncio as _standard
import sys as _sys
from types import ModuleType as _ModuleType

from fenshen import _engine, parts, runners

TYPE_CHECKING = False
if TYPE_CHECKING:
    from asyncio import *  # noqa: F403
    from typing import Any as _Any


def new_event_loop() -> _standard.AbstractEventLoop:
    """A new event loop of fenshen's, whatever the policy says."""
    return runners.new_event_loop()


def get_event_loop() -> _standard.AbstractEventLoop:
    """`asyncio.get_event_loop`: the running or the current loop; where asyncio would make one, it is one of
    fenshen's.
    """
    running = _standard._get_running_loop()
    if running is not None:
        return running
    factory = _Factory(_sys.modules.get("asyncio.events"))
    try:
        return _standard.get_event_loop()
    finally:
        factory.restore()


class _Factory:
    """For one call, the default policy makes our loops; a policy that the program has chosen is left alone."""

    def __init__(self, events: _Any):
        get = getattr(events, "_get_event_loop_policy", None) or events.get_event_loop_policy
        self.policy = get()
        default = getattr(_sys.modules.get("asyncio.unix_events"), "_UnixDefaultEventLoopPolicy", None)
        self.ours = default is not None and type(self.policy) is default and "_loop_factory" not in vars(self.policy)
        if self.ours:
            self.policy._loop_factory = new_event_loop

    def restore(self) -> None:
        """Leave the policy as it was."""
        if self.ours:
            del self.policy._loop_factory


def _replacements() -> dict[str, dict[str, object]]:
    """Ours, by module and name, for every row of the table that belongs to asyncio and stands for a plain name."""
    found: dict[str, dict[str, object]] = {}
    if _engine.engine() != "native":
        return found
    for part in parts.all_parts():
        if (
            part.group != "loop"
            or "." in part.attribute
            or part.attribute.startswith("_")
            or (place := part.owner()) is None
        ):
            continue
        ours = part.ours(vars(place[0])[part.attribute])
        if ours is not parts.MISSING:
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
    ours.setdefault("asyncio", {}).update(run=runners.run, new_event_loop=new_event_loop, get_event_loop=get_event_loop)
    ours.setdefault("asyncio.events", {}).update(new_event_loop=new_event_loop, get_event_loop=get_event_loop)
    ours.setdefault("asyncio.runners", {}).update(run=runners.run)
    if hasattr(_standard, "Runner"):
        ours["asyncio"]["Runner"] = ours["asyncio.runners"]["Runner"] = runners.Runner
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


def __getattr__(name: str) -> object:
    try:
        return getattr(_standard, name)
    except AttributeError:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}") from None


def __dir__() -> list[str]:
    return sorted({*globals(), *dir(_standard)})
