"""What an error of a stage tells: in which stage, and for which item."""

from __future__ import annotations

import contextlib
import reprlib
from typing import Any

_short = reprlib.Repr()
_short.maxstring = _short.maxother = 120


def blame(error: BaseException, name: str, item: Any) -> None:
    """Note on an error which stage failed with it and for which item, unless that is noted already.

    It gets the attributes `stage` and `item`, where it has no such attributes of its own, and from 3.11 on a note.
    """
    for attribute, value in (("stage", name), ("item", item)):
        if not hasattr(error, attribute):
            with contextlib.suppress(Exception):  # a class may forbid it
                setattr(error, attribute, value)
    note(error, f"in stage {name!r}, for {shown(item)}")


def note(error: BaseException, text: str) -> None:
    """Add a note to an error, where the interpreter knows notes."""
    if hasattr(error, "add_note"):
        error.add_note(text)


def shown(item: Any) -> str:
    """An item, in a few words."""
    try:
        return _short.repr(item)
    except Exception as error:  # what a program's own `__repr__` does must not hide its error
        return f"<{type(item).__name__} whose repr raised {type(error).__name__}>"
