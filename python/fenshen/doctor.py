"""`fenshen doctor`: which engine serves each standard name, which versions are at work, and what this machine lacks."""

from __future__ import annotations

import os
import platform
import select
import sys
from collections.abc import Callable

import fenshen
from fenshen import _engine, _hook, installing
from fenshen._options import GROUPS, current

_EPOLL_PWAIT2 = 441  # the same number on x86-64 and aarch64


def _epoll_pwait2() -> str:
    import ctypes
    import errno

    libc = ctypes.CDLL(None, use_errno=True)
    libc.syscall(_EPOLL_PWAIT2, -1, None, 0, None, None, 0)
    lacks = ctypes.get_errno() in (errno.ENOSYS, errno.EPERM)
    return "no epoll_pwait2 (Linux 5.11): timers are rounded up to a millisecond" if lacks else ""


def _pidfd() -> str:
    try:
        os.close(os.pidfd_open(os.getpid()))
    except (AttributeError, OSError) as e:
        return f"no pidfd_open ({e}): children are watched by a thread each"
    return ""


def _epoll() -> str:
    return "" if hasattr(select, "epoll") else "no epoll: the native loop cannot run"


def _proc() -> str:
    return (
        "" if os.path.isdir("/proc/self/task") else "no /proc: a stalled program is reported, never raised as an error"
    )


def _files() -> str:
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    return f"only {soft} open files (ulimit -n; the hard limit is {hard}): few connections" if 0 <= soft < 1024 else ""


def _hooked() -> str:
    if _hook.present():
        return ""
    return f"no {_hook.FILE} in site-packages: FENSHEN=1 has no effect, `fenshen run` runs inside the launcher"


_CHECKS: tuple[Callable[[], str], ...] = (_epoll, _epoll_pwait2, _pidfd, _proc, _files, _hooked)


def missing() -> list[str]:
    """One line for each thing that this machine lacks."""
    if _engine.engine() != "native":
        return [f"the native engine: {_engine.why_stdlib()}"]
    found = []
    for check in _CHECKS:
        try:
            line = check()
        except Exception as e:
            line = f"{check.__name__.strip('_')} could not be checked: {e}"
        if line:
            found.append(line)
    return found


def _versions() -> list[tuple[str, str]]:
    rows = [
        ("fenshen", fenshen.__version__),
        ("engine", fenshen.engine + (f" ({why})" if (why := _engine.why_stdlib()) else "")),
        ("Python", f"{platform.python_version()} ({platform.python_implementation()}), {sys.executable}"),
        ("system", f"{platform.system()} {platform.release()}, {platform.machine()}, {' '.join(platform.libc_ver())}"),
    ]
    native = sys.modules.get("fenshen._fenshen")
    rows += [(shown, str(value)) for shown in ("rustc", "pyo3") if (value := getattr(native, f"__{shown}__", None))]
    asked = os.environ.get("FENSHEN")
    rows.append(("FENSHEN", "not set" if asked is None else repr(asked)))
    return rows


def _names() -> list[tuple[str, str, str]]:
    """Each standard name with what serves it now and under `fenshen run`."""
    import asyncio  # noqa: F401

    now = {part.shown: ours for part, ours in installing.installed()}
    before = {name: getattr(current, name) for name in GROUPS}
    if _engine.engine() == "native":
        installing.install()
    then = {part.shown: (part.source, ours) for part, ours in installing.installed()}
    installing.uninstall(**{name: not was for name, was in before.items()})
    rows = []
    for name, (source, ours) in then.items():
        present = "fenshen" if now.get(name) else "standard library"
        rows.append((str(name), source.replace(":", ".") if ours else "standard library", present))
    rows.append(("everything else", "standard library", "standard library"))
    return rows


def _table(rows: list[tuple[str, ...]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def _bold(text: str) -> str:
    coloured = sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    return f"\x1b[1m{text}\x1b[0m" if coloured else text


def doctor() -> int:
    """Print the report on stdout; 0 if nothing is missing, else 1."""
    for line in _table(list(_versions())):
        print(line)
    print()
    head, *rows = _table([("standard name", "under fenshen run", "in this process"), *_names()])
    print(_bold(head), *rows, sep="\n")
    lacking = missing()
    print("\n" + _bold("missing"), *(f"  {line}" for line in lacking or ["nothing"]), sep="\n")
    return 1 if lacking else 0
