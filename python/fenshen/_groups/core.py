"""What a group does for each child of an `async with`, in Rust where the native engine serves."""

from __future__ import annotations

from fenshen import _engine

TYPE_CHECKING = False
if TYPE_CHECKING or _engine.engine() == "native":
    from fenshen._fenshen import GroupCore, entered_groups
else:
    from fenshen._groups.python_core import GroupCore, entered_groups

__all__ = ["GroupCore", "entered_groups"]
