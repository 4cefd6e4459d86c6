"""What every program here begins with: it is on the loop that it was meant to be on, and it does not hang."""

from __future__ import annotations

import asyncio
import faulthandler
import functools
import os
import sys
from collections.abc import Callable, Coroutine
from typing import Any

import fenshen


def name_of(loop: asyncio.AbstractEventLoop) -> str:
    """Whose loop it is: fenshen, asyncio, uvloop."""
    return "fenshen" if isinstance(loop, fenshen.EventLoop) else type(loop).__module__.partition(".")[0]


def checked(main: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., Coroutine[Any, Any, None]]:
    """Make `main` tell its loop first, and end with every stack on stderr if it hangs."""

    @functools.wraps(main)
    async def checked_main(*args: Any) -> None:
        faulthandler.dump_traceback_later(float(os.environ["HANGS_AFTER"]), exit=True)
        loop, expected = name_of(asyncio.get_running_loop()), os.environ["EXPECTED_LOOP"]
        if loop != expected:
            sys.exit(f"this program is on the loop of {loop}, and not of {expected}")
        print("on", loop, flush=True)
        await main(*args)
        faulthandler.cancel_dump_traceback_later()

    return checked_main
