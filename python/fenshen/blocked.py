"""The blocked-loop watchdog: when one step holds an event loop for too long, one line on stderr says which task it is
and where it is now, while it still holds it, even if C code holds the interpreter.

On by default under `fenshen run`; elsewhere `start()` switches it on. A step is too long after
`loop.slow_callback_duration` seconds (0.1 by default). The same culprit is named at most once in ten seconds.
"""

from __future__ import annotations

import os
import sys

from fenshen import _engine
from fenshen._options import current

__all__ = ["start", "stop"]

# What was last done about `current.blocked`: a loop that begins to run compares them.
settled = False
_hooked = False


def follow() -> None:
    """Start or stop, as `current.blocked` says."""
    if current.blocked:
        start()
    else:
        stop()


def start() -> bool:
    """Watch every fenshen event loop of this process that runs now in this thread or begins to run later.

    Returns whether they are watched: not under FENSHEN_QUIET, a debugger or coverage, nor without the native engine.
    """
    global settled
    current.blocked = settled = True
    if _engine.quiet() or _engine.engine() != "native":
        return False
    from asyncio import _get_running_loop

    from fenshen import _fenshen

    try:
        _fenshen.watchdog_start(_get_running_loop())
    except (ImportError, OSError, RuntimeError, ValueError) as e:
        _engine.say(f"steps that block the event loop are not named: {type(e).__name__}: {e}", once=True)
        return False
    _hook()
    return True


def stop() -> None:
    """Stop watching, until `start()` is called again."""
    global settled
    current.blocked = settled = False
    native = sys.modules.get("fenshen._fenshen")
    if native is not None:
        native.watchdog_stop()


def _hook() -> None:
    global _hooked
    if _hooked:
        return
    _hooked = True
    import atexit

    from fenshen import _fenshen

    os.register_at_fork(
        before=_fenshen.watchdog_pause,
        after_in_parent=_fenshen.watchdog_resume,
        after_in_child=_after_in_child,
    )
    # The interpreter takes its signal handlers away at its end.
    atexit.register(stop)


def _after_in_child() -> None:
    global settled
    from fenshen import _fenshen

    _fenshen.watchdog_forget()
    settled = False
