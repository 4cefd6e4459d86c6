"""asyncio's streams and ours side by side, and a transport that does nothing but remember."""

from __future__ import annotations

import asyncio
import asyncio.streams
import itertools
from collections.abc import Callable, Coroutine
from typing import Any, NamedTuple

from fenshen import _fenshen
from on_loops import run
from twins import even, plain


class Kinds(NamedTuple):
    """The types of one of the two."""

    name: str
    Reader: Any
    Protocol: Any
    Writer: Any


STANDARD = Kinds(
    "asyncio", asyncio.streams.StreamReader, asyncio.streams.StreamReaderProtocol, asyncio.streams.StreamWriter
)
NATIVE = Kinds("fenshen", _fenshen.StreamReader, _fenshen.StreamReaderProtocol, _fenshen.StreamWriter)


class Remembers:
    """A transport that carries nothing and lists what was asked of it."""

    def __init__(self, *, pausable: bool = True, extra: dict[str, Any] | None = None) -> None:
        self.calls: list[Any] = []
        self.closing = False
        self.pausable = pausable
        self.extra = extra or {}

    def __repr__(self) -> str:
        return "<Remembers>"

    def pause_reading(self) -> None:
        self.calls.append("pause")
        if not self.pausable:
            raise NotImplementedError

    def resume_reading(self) -> None:
        self.calls.append("resume")

    def write(self, data: Any) -> None:
        self.calls.append(("write", bytes(data)))

    def writelines(self, lines: Any) -> None:
        self.calls.append(("writelines", list(lines)))

    def write_eof(self) -> str:
        self.calls.append("write_eof")
        return "what write_eof returns"

    def can_write_eof(self) -> bool:
        return True

    def close(self) -> None:
        self.calls.append("close")
        self.closing = True

    def abort(self) -> None:
        self.calls.append("abort")
        self.closing = True

    def is_closing(self) -> bool:
        return self.closing

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self.extra.get(name, default)


async def result(awaitable: Any) -> str:
    """What awaiting gives or raises, as text."""
    try:
        return f"returned {plain(await awaitable)}"
    except BaseException as e:
        details = [getattr(e, name, None) for name in ("partial", "expected", "consumed", "__context__", "__cause__")]
        return even(f"raised {type(e).__name__}({e}) {details}")


def said(action: Callable[[], Any]) -> str:
    """What a call gives or raises, as text."""
    try:
        return f"returned {plain(action())}"
    except BaseException as e:
        return even(f"raised {type(e).__name__}({e})")


Program = Callable[[Kinds], Coroutine[Any, Any, list[Any]]]


def alike(program: Program, factory: Callable[[], Any]) -> list[Any]:
    """Runs a program with asyncio's types, then with ours, and holds the second to what the first gave."""
    expected, got = run(program(STANDARD), factory), run(program(NATIVE), factory)
    differing = [f"asyncio: {e}\n   ours: {g}" for e, g in itertools.zip_longest(expected, got) if e != g]
    assert not differing, "\n".join(differing[:10])
    return expected
