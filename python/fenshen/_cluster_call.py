"""What a node of a cluster does for us: a call, whose exception is a result with the text of its traceback."""

from __future__ import annotations

import traceback

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


def call(fn: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[bool, Any, str | None]:
    """Whether `fn(*args, **kwargs)` went well, what it returned or raised, and the text of its traceback."""
    try:
        return True, fn(*args, **kwargs), None
    except Exception as exc:
        text = "".join(traceback.format_exception(type(exc), exc, exc.__traceback__))
        exc.__traceback__ = None
        return False, exc, text


def with_trace(exc: BaseException, trace: str | None) -> BaseException:
    """The exception, which came of a call elsewhere, caused by its traceback there, as process pools have it."""
    from concurrent.futures.process import _RemoteTraceback  # type: ignore[attr-defined]

    if trace is not None:
        # Past what the class may do about its attributes.
        BaseException.__setattr__(exc, "__cause__", _RemoteTraceback(f'\n"""\n{trace}"""'))
    return exc


def missing(engine: str, exc: ImportError) -> ImportError:
    """The error where an engine is not installed, with what to do."""
    said = ImportError(f'{engine} is not installed: pip install "fenshen[{engine}]"', name=exc.name)
    said.__cause__ = exc
    return said
