"""How a peer's loop takes the place of the one that a suite would make, without a change to the suite."""

from __future__ import annotations

import asyncio
import functools
import importlib
import importlib.util
import sys
import warnings
from typing import Any

from conformance.putting_in import loop_class, put_policy_in


def put_in(peer: str, *, threads: bool = False, processes: bool = False) -> None:
    """Have asyncio's and uvloop's ways to a new loop lead to a peer's. To be called before any test is loaded.

    With `threads`, fenshen's locks, queues and pools stand under the standard names too, as under `fenshen run`; with
    `processes`, so does what processes share.

    Raises:
        ImportError: the peer is not installed.
    """
    loop_cls = loop_class(peer)
    if peer == "fenshen":
        with warnings.catch_warnings():  # of names that pytest's plugins took before: `sleep`, and warnings are errors
            warnings.simplefilter("ignore", RuntimeWarning)
            importlib.import_module("fenshen").install(
                threads=threads, processes=processes, deadlock="raise" if threads else None
            )
    if peer != "asyncio":
        put_policy_in(loop_cls)
        asyncio.SelectorEventLoop = loop_cls  # type: ignore[misc, assignment]
        if hasattr(asyncio, "EventLoop"):  # 3.13+
            asyncio.EventLoop = loop_cls
    if peer != "uvloop" and importlib.util.find_spec("uvloop") is not None:
        _put_in_uvloop(importlib.import_module("uvloop"), loop_cls)


def _put_in_uvloop(uvloop: Any, loop_cls: type[asyncio.AbstractEventLoop]) -> None:
    """The names by which a program that uses uvloop gets its loop."""
    uvloop.Loop = uvloop.new_event_loop = loop_cls
    uvloop.EventLoopPolicy = _Policy
    uvloop.install = lambda: asyncio.set_event_loop_policy(_Policy())
    uvloop.run = functools.partial(uvloop.run, loop_factory=loop_cls)


class _Policy:
    """The default policy, whichever that is when one is made."""

    def __new__(cls) -> Any:
        if sys.version_info < (3, 14):
            return asyncio.DefaultEventLoopPolicy()
        return asyncio.unix_events._DefaultEventLoopPolicy()  # type: ignore[attr-defined]
