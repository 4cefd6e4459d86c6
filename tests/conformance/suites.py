"""What is run: the modules of CPython's `test` package, in three kinds, and the peers that each kind knows."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

# The longest first, so that two processes end at about the same time.
REQUIRED = (
    "test_events",
    "test_tasks",
    "test_unix_events",
    "test_base_events",
    "test_sock_lowlevel",
    "test_taskgroups",
    "test_waitfor",
    "test_locks",
    "test_futures",
    "test_futures2",
    "test_queues",
    "test_timeouts",
    "test_runners",
    "test_threads",
    "test_context",
    "test_pep492",
    "test_eager_task_factory",
)
BEYOND = (
    "test_sslproto",
    "test_ssl",
    "test_subprocess",
    "test_sendfile",
    "test_streams",
    "test_server",
    "test_buffered_proto",
    "test_selector_events",
    "test_protocols",
    "test_transports",
)

THREADS = {
    "test_concurrent_futures": "test_concurrent_futures",
    "test_threading": "test_threading",
    "multiprocessing_dummy": "_test_multiprocessing",
    "test_queue": "test_queue",
    "lock_tests": "lock_tests",
    "lock_tests_installed": "lock_tests",
    "lock_tests_off": "lock_tests",
    "test_threadsignals": "test_threadsignals",
    "test_thread": "test_thread",
    "test_threading_local": "test_threading_local",
    "test_sched": "test_sched",
    "test_contextlib": "test_contextlib",
    "test_threadedtempfile": "test_threadedtempfile",
}
"""What is run of threads, and the module of CPython's `test` that it is made of; `thread_suites.py` says how."""

PROCESSES = {
    "futures_spawn": "test_concurrent_futures",
    "multiprocessing_spawn": "_test_multiprocessing",
    "multiprocessing_forkserver": "_test_multiprocessing",
    "multiprocessing_fork": "_test_multiprocessing",
    "futures_forkserver": "test_concurrent_futures",
    "futures_fork": "test_concurrent_futures",
    "multiprocessing_main": "test_multiprocessing_main_handling",
}
"""What is run of processes, by start method, as `THREADS`; `process_suites.py` says how. The longest first."""

PEERS = {
    "asyncio": ("fenshen", "fenshen-loop", "asyncio", "uvloop", "rloop"),
    "threads": ("fenshen", "fenshen-off", "stdlib"),
    "processes": ("fenshen", "fenshen-off", "stdlib"),
}
"""By kind. `asyncio` and `stdlib` are the standard library's own. `fenshen-loop` is our loop without `install()`:
`asyncio.Task` is asyncio's own, `create_task` makes ours. `fenshen-off` is `install()` as a library has it, without a
watch for deadlocks: `Lock` and `RLock` stay the interpreter's own.
"""


def kind(module: str) -> str:
    """`"threads"`, `"processes"` or `"asyncio"`."""
    return "threads" if module in THREADS else "processes" if module in PROCESSES else "asyncio"


def stock(module: str) -> str:
    """The peer whose types are the standard library's."""
    return "asyncio" if kind(module) == "asyncio" else "stdlib"


def peers() -> list[str]:
    """All of them, ours first."""
    return list(dict.fromkeys(peer for names in PEERS.values() for peer in names))


def _folders(package: str) -> list[Path]:
    try:
        found = importlib.util.find_spec(package)
    except ImportError:
        return []
    return [Path(place) for place in (found.submodule_search_locations or ())] if found else []


def _shipped(folders: list[Path], name: str) -> Path | None:
    found = (path for folder in folders for path in (folder / f"{name}.py", folder / name) if path.exists())
    return next((path for path in found if path.suffix or (path / "__init__.py").exists()), None)


def borrowed(name: str) -> Path | None:
    """A module of `test` that this interpreter was installed without, as an older version beside it has it.

    pyenv and the like keep `PREFIX/../3.10.13/lib/python3.10`. What an older version's tests demand still holds; those
    of a newer one demand what is not there yet. Only single modules: a package's parts import one another by names
    that this interpreter would look for in its own.
    """
    own = sys.version_info[:2]
    candidates = []
    for folder in Path(sys.base_prefix).parent.glob("*/lib/python3.*/test"):
        _, _, minor = folder.parent.name.partition(".")
        if minor.isdigit() and 10 <= int(minor) < own[1] and (folder / f"{name}.py").exists():
            candidates.append((int(minor), folder / f"{name}.py"))
    return max(candidates)[1] if candidates else None


def modules(peer: str = "fenshen") -> list[str]:
    """The modules that run here with a peer: an interpreter may lack newer ones, or its tests altogether."""
    found: list[str] = []
    if peer in PEERS["asyncio"]:
        folders = _folders("test.test_asyncio")
        wanted = sorted((*REQUIRED, *BEYOND), key=lambda name: name not in ("test_sslproto", "test_ssl"))
        found += [name for name in wanted if _shipped(folders, name)]
    folders = _folders("test")
    for name, made_of in {**THREADS, **PROCESSES}.items():
        if peer in PEERS[kind(name)] and folders and (_shipped(folders, made_of) or borrowed(made_of)):
            found.append(name)
    return found
