"""`fenshen run --advise`: measures what is handed to threads, pools and tasks, and tells in the end which model fits.

The measuring is the native engine's, as is the sampling (`crates/fenshen-py/src/advise/` says how); what is made of it
is in `fenshen.advice`. Nothing of this is loaded without `--advise`.
"""

from __future__ import annotations

import os

from fenshen import _engine
from fenshen._options import current

__all__ = ["leave", "report", "start"]

_state = {"pid": 0}


def start() -> None:
    """Measure from now on, and print the report to stderr when the program has ended.

    Does nothing without the native engine, and prints nothing under FENSHEN_QUIET, a debugger or coverage.
    """
    if _engine.quiet() or _engine.engine() != "native" or _state["pid"]:
        return
    import atexit

    from fenshen import _fenshen
    from fenshen.advice import pickling, remote, report

    try:
        report.lock = _fenshen.advise_start(pickling.weigh, pickling.arguments, remote.task)
    except (OSError, RuntimeError) as e:
        _engine.say(f"nothing is measured: {type(e).__name__}: {e}")
        return
    _state["pid"] = os.getpid()
    os.register_at_fork(
        before=_fenshen.advise_pause, after_in_parent=_fenshen.advise_resume, after_in_child=_after_in_child
    )
    atexit.register(_at_exit)


def _after_in_child() -> None:
    from fenshen import _fenshen
    from fenshen.advice import pickling, remote

    _fenshen.advise_forget()
    pickling.forget()
    remote.forget()
    current.child = True
    _state["pid"] = os.getpid()


def leave() -> None:
    """Measure nothing more in this process, and print no report: it works for a pool, whose own process tells of it."""
    if _state["pid"] != os.getpid():
        return
    _state["pid"] = -1
    from fenshen import _fenshen

    _fenshen.advise_stop()


def report() -> None:
    """Print what there is to say of this process, once."""
    if _state["pid"] != os.getpid():
        return
    _state["pid"] = -1
    from fenshen import _fenshen
    from fenshen.advice import report as made

    _fenshen.advise_stop()
    text = made.text(_fenshen.advise_counts(), _fenshen.advise_remote_counts(), child=current.child)
    if text:
        _engine.say(text)


def _at_exit() -> None:
    try:
        report()
    except Exception as e:  # the program has ended well or badly, which a fault of ours must not change
        _engine.say(f"no advice: {type(e).__name__}: {e}")
