"""Says which children keep a group waiting that was cancelled a while ago."""

from __future__ import annotations

import sys

from fenshen import _engine

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

__all__ = ["PATIENCE", "tell"]

#: Seconds after a group was cancelled.
PATIENCE = 5.0


def tell(group: str, children: Iterable[Any]) -> None:
    """Name each child, and where it stands, on standard error."""
    for child in children:
        lines = [f"{group} was cancelled {PATIENCE:g} s ago, and waits for {_described(child)}"]
        lines += [f"    {place}" for place in _places(child)]
        _engine.say("\n".join(lines))


def _described(child: Any) -> str:
    if hasattr(child, "get_name"):
        return f"task {child.get_name()!r}"
    shielded = ", which is shielded" if child.shielded else ""
    return f"{child.kind} {child.name!r}{shielded}"


def _places(child: Any) -> list[str]:
    """The stack of a thread or a task, outermost first."""
    try:
        if (ident := getattr(child, "ident", None)) is not None:
            from fenshen._stuck import stack

            return stack(sys._current_frames().get(ident))
        task = child if hasattr(child, "get_name") else getattr(child, "task", None)
        if task is not None:
            from fenshen._awaiting import describe

            return describe([task])[0].stack
    except Exception:
        pass  # it has ended meanwhile, or stands where nothing can be told
    return []
