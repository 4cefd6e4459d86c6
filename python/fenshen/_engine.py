"""Which engine serves this process, and the one place from which anything is printed."""

from __future__ import annotations

import os
import sys

_state: dict[str, str] = {}


def _unfit() -> str:
    """Why the native engine cannot be used here; empty if nothing speaks against it yet. Imports nothing."""
    wanted = os.environ.get("FENSHEN_ENGINE", "").strip().lower()
    if wanted == "stdlib":
        return "FENSHEN_ENGINE=stdlib"
    if sys.implementation.name != "cpython":
        return f"this is {sys.implementation.name}, not CPython"
    if not sys.platform.startswith("linux"):
        return f"this is {sys.platform}, not Linux"
    return ""


def _built() -> bool:
    """Whether a native module for this interpreter lies beside us; it may still fail to load."""
    here = os.path.dirname(os.path.abspath(__file__))
    import _imp

    return any(os.path.exists(os.path.join(here, "_fenshen" + suffix)) for suffix in _imp.extension_suffixes())


def expected() -> str:
    """The engine that `engine()` will find, told without loading the native module."""
    return _state.get("engine") or ("stdlib" if _unfit() or not _built() else "native")


def engine() -> str:
    """`"native"` where the Rust engine serves, `"stdlib"` where the standard library's own types do."""
    if "engine" not in _state:
        why = _unfit()
        if not why:
            try:
                import fenshen._threads  # noqa: F401
            except ImportError as e:
                why = (
                    f"the native module does not load: {e}" if _built() else "there is no native module for this Python"
                )
        _state["why"] = why
        _state["engine"] = "stdlib" if why else "native"
    return _state["engine"]


def why_stdlib() -> str:
    """The reason for `engine() == "stdlib"`, in a few words; empty with the native engine."""
    return _state.get("why") or _unfit() or ("" if _built() else "there is no native module for this Python")


def quiet() -> bool:
    """True under FENSHEN_QUIET, a debugger or coverage, where nothing may be printed."""
    if os.environ.get("FENSHEN_QUIET", "0") not in ("", "0"):
        return True
    if sys.gettrace() is not None:
        return True
    tools = getattr(sys, "monitoring", None)
    return tools is not None and any(tools.get_tool(i) for i in (tools.DEBUGGER_ID, tools.COVERAGE_ID))


def say(text: str, *, once: bool = False) -> None:
    """Print `fenshen: text` as one line on stderr, unless `quiet()`; with `once`, never the same text twice."""
    if quiet() or (once and _state.get(f"said {text}")):
        return
    _state[f"said {text}"] = "yes"
    try:
        sys.stderr.write(f"fenshen: {text}\n")
        sys.stderr.flush()
    except (AttributeError, OSError, RuntimeError, ValueError):
        pass  # stderr is closed or gone: then there is nobody to tell


def told_stdlib() -> bool:
    """Whether `say_stdlib` has been called."""
    return "told" in _state


def say_stdlib() -> None:
    """Say, once, that the standard library's own types serve, and why."""
    _state["told"] = "yes"
    say(f"the standard library's own types serve this program ({why_stdlib()})", once=True)
