"""What was begun and has not ended: tasks, threads, processes, shared memory. For `fenshen.pytest_plugin`.

Each kind has a function that tells all that there is now, as a dict from something that is never used again (the
object, a process id with its starting time, a block's name with its inode) to what a person should read. What is there
later and was not before has been left behind.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import threading
import traceback
import weakref
from collections.abc import Callable, Hashable, Iterator
from typing import Any, NamedTuple

SHM = "/dev/shm/"
_HERE = os.path.dirname(__file__) + os.sep
_STANDARD = os.path.dirname(threading.__file__) + os.sep

Found = dict[Hashable, str]


class Origins:
    """Where threads, processes and blocks of shared memory were made, for as long as `watching` lasts."""

    def __init__(self) -> None:
        self.of_threads: weakref.WeakKeyDictionary[threading.Thread, str] = weakref.WeakKeyDictionary()
        self.of_processes: dict[int, str] = {}
        self.of_blocks: dict[str, str] = {}
        # Tasks that a runner had to cancel when its program had ended.
        self.swept: Found = {}
        # Pools that were there before: the workers that these start meanwhile are theirs.
        module = sys.modules.get("fenshen._supervisor")
        self.pools: weakref.WeakSet[Any] = weakref.WeakSet(getattr(module, "living", ()))

    @contextlib.contextmanager
    def watching(self) -> Iterator[None]:
        """Note what is made by any thread, and where, until the block ends."""
        depth = sys.get_coroutine_origin_tracking_depth()
        sys.set_coroutine_origin_tracking_depth(max(depth, 16))
        try:
            with contextlib.ExitStack() as patches:
                for owner, name, note in self._points():
                    patches.enter_context(_wrapped(owner, name, note))
                yield
        finally:
            sys.set_coroutine_origin_tracking_depth(depth)

    def _points(self) -> Iterator[tuple[Any, str, Callable[..., Any]]]:
        import subprocess
        from multiprocessing import process, shared_memory

        yield threading.Thread, "start", self._thread
        yield process.BaseProcess, "start", self._process
        yield subprocess.Popen, "__init__", self._process
        kinds = {shared_memory.SharedMemory}
        with contextlib.suppress(ImportError):
            from fenshen.multiprocessing.shared_memory import SharedMemory

            kinds.add(SharedMemory)
        for kind in kinds:
            yield kind, "__init__", self._block
        for module, name in (("asyncio.runners", "_cancel_all_tasks"), ("fenshen._runner310", "_cancel_all")):
            if hasattr(sys.modules.get(module), name):
                yield sys.modules[module], name, self._sweeping

    def _thread(self, call: Callable[[], Any], thread: threading.Thread) -> Any:
        self.of_threads[thread] = where()
        return call()

    def _process(self, call: Callable[[], Any], process: Any) -> Any:
        place = where()
        result = call()
        if process.pid is not None:
            self.of_processes[process.pid] = place
        return result

    def _block(self, call: Callable[[], Any], block: Any) -> Any:
        place = where()
        result = call()
        self.of_blocks.setdefault(block.name, place)
        return result

    def _sweeping(self, call: Callable[[], Any], loop: asyncio.AbstractEventLoop) -> Any:
        for task in asyncio.all_tasks(loop):
            # One that the program itself has cancelled only needed another step.
            if not getattr(task, "cancelling", int)():
                self.swept[task] = f"{shown_task(task)}, cancelled by the end of its loop"
        return call()


@contextlib.contextmanager
def _wrapped(owner: Any, name: str, note: Callable[..., Any]) -> Iterator[None]:
    """Have `note(call, first_argument)` called for each call of an attribute."""
    original = vars(owner).get(name)
    function = getattr(owner, name)

    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return note(lambda: function(*args, **kwargs), args[0])

    setattr(owner, name, wrapper)
    try:
        yield
    finally:
        if original is None:
            delattr(owner, name)
        else:
            setattr(owner, name, original)


def where() -> str:
    """The innermost line of the program's own, as `file:line in function`."""
    frame = sys._getframe(1)
    found = frame
    while found.f_back is not None and _between(found.f_code.co_filename):
        found = found.f_back
    if _between(found.f_code.co_filename):
        found = frame
    return f"{_short(found.f_code.co_filename)}:{found.f_lineno} in {found.f_code.co_name}"


def _between(path: str) -> bool:
    """Whether a file lies between the program and what it began: it is ours, or the standard library's."""
    return path.startswith((_HERE, "<")) or (path.startswith(_STANDARD) and "site-packages" not in path)


def _short(path: str) -> str:
    inside = path.startswith(os.getcwd() + os.sep)
    return os.path.relpath(path) if inside else path


# -- Tasks ------------------------------------------------------------------------------------------------------------


def tasks() -> Found:
    """Every task that has not ended, on any loop of any thread that is not closed."""
    found: Found = {}
    for task in _all_tasks():
        with contextlib.suppress(RuntimeError):  # a foreign task whose loop has gone
            if not task.done():
                found[task] = shown_task(task)
    return found


def _all_tasks() -> list[Any]:
    if sys.version_info >= (3, 14):
        import gc

        loops = [found for found in gc.get_objects() if isinstance(found, asyncio.AbstractEventLoop)]
        return [task for loop in loops for task in asyncio.all_tasks(loop)]
    names = ("_all_tasks", "_scheduled_tasks", "_eager_tasks")
    registries = {id(r): r for name in names if (r := getattr(asyncio.tasks, name, None)) is not None}
    for _ in range(1000):  # a set that another thread changes meanwhile is read again, as asyncio does
        with contextlib.suppress(RuntimeError):
            return [task for registry in registries.values() for task in list(registry)]
    return []


def shown_task(task: Any) -> str:
    coroutine = task.get_coro()
    origin = getattr(coroutine, "cr_origin", None)
    lines = [f"task {task.get_name()}, running {getattr(coroutine, '__qualname__', coroutine)}"]
    frame = getattr(coroutine, "cr_frame", None)
    if frame is not None:
        lines.append(f"at {_short(frame.f_code.co_filename)}:{frame.f_lineno}")
    if origin:
        file, line, function = next((o for o in origin if not _between(o[0])), origin[0])
        lines.append(f"created at {_short(file)}:{line} in {function}")
    return ", ".join(lines)


# -- Threads ----------------------------------------------------------------------------------------------------------


def threads(origins: Origins) -> Found:
    """Every thread that `threading` has started and that lives, but for the engine's own."""
    return {
        thread: _shown_thread(thread, origins)
        for thread in threading.enumerate()
        if thread.name != "fenshen-pool" and not isinstance(thread, threading._DummyThread)
    }


def _shown_thread(thread: threading.Thread, origins: Origins) -> str:
    kind = "daemon thread" if thread.daemon else "thread"
    lines = [f"{kind} {thread.name}"]
    frame = sys._current_frames().get(thread.ident or 0)
    if frame is not None:
        stack = traceback.extract_stack(frame)
        last = next((f for f in reversed(stack) if not _between(f.filename)), stack[-1])
        lines.append(f"at {_short(last.filename)}:{last.lineno} in {last.name}")
    if thread in origins.of_threads:
        lines.append(f"started at {origins.of_threads[thread]}")
    return ", ".join(lines)


# -- Processes --------------------------------------------------------------------------------------------------------


class Process(NamedTuple):
    """A process as the kernel tells of it; `begun` tells apart two that have had the same id."""

    pid: int
    parent: int
    begun: int
    state: str


def processes(origins: Origins) -> Found:
    """This process's descendants, zombies too, but for those that serve a whole program, or a pool that was
    there before."""
    spared = _program_wide().union(*(pool.pids() for pool in origins.pools))
    return {
        (process.pid, process.begun): _shown_process(process, origins)
        for process in _descendants()
        if process.pid not in spared
    }


def _descendants() -> list[Process]:
    by_parent: dict[int, list[Process]] = {}
    with contextlib.suppress(FileNotFoundError):
        for entry in os.listdir("/proc"):
            if entry.isdigit() and (process := _read(int(entry))) is not None:
                by_parent.setdefault(process.parent, []).append(process)
    found: list[Process] = []
    left = [os.getpid()]
    while left:
        children = by_parent.get(left.pop(), [])
        found += children
        left += [child.pid for child in children]
    return found


def _read(pid: int) -> Process | None:
    try:
        with open(f"/proc/{pid}/stat", "rb") as stat:
            fields = stat.read().rpartition(b")")[2].split()
    except OSError:
        return None
    return Process(pid, int(fields[1]), int(fields[19]), fields[0].decode())


def _program_wide() -> set[int | None]:
    """The resource tracker, the fork server, and the workers of `to_process`: no test is to blame for them."""
    spared: set[int | None] = set()
    for module, owner, name in (
        ("multiprocessing.resource_tracker", "_resource_tracker", "_pid"),
        ("multiprocessing.forkserver", "_forkserver", "_forkserver_pid"),
    ):
        spared.add(getattr(getattr(sys.modules.get(module), owner, None), name, None))
    pools = getattr(sys.modules.get("fenshen._to_process"), "_pool", {})
    for pool in list(pools.values()):
        spared |= set(pool.stats()["pids"])
    crews = getattr(sys.modules.get("fenshen._process_tasks"), "_own", {})
    for crew in list(crews.values()):
        spared |= set(crew.supervisor.processes)
    return spared


def _shown_process(process: Process, origins: Origins) -> str:
    mp = sys.modules.get("multiprocessing.process")
    names = {child.pid: child.name for child in list(getattr(mp, "_children", ()))}
    try:
        with open(f"/proc/{process.pid}/cmdline", "rb") as file:
            command = " ".join(os.fsdecode(file.read()).split("\0")).strip()
    except OSError:
        command = ""
    lines = [f"process {process.pid}"]
    if process.pid in names:
        lines.append(names[process.pid])
    elif command:
        lines.append(f"`{command if len(command) <= 80 else command[:77] + '...'}`")
    if process.state == "Z":
        lines.append("which has ended and was not waited for")
    if process.pid in origins.of_processes:
        lines.append(f"started at {origins.of_processes[process.pid]}")
    return ", ".join(lines)


# -- Shared memory ----------------------------------------------------------------------------------------------------


def blocks(origins: Origins) -> Found:
    """Named blocks of shared memory that are not unlinked: made by `SharedMemory` here, or mapped by this process."""
    names = {name.lstrip("/"): place for name, place in origins.of_blocks.items()}
    found: Found = {}
    for name in names.keys() | _mapped():
        with contextlib.suppress(OSError):
            place = f", made at {names[name]}" if name in names else ""
            status = os.stat(SHM + name)
            found[name, status.st_ino] = f"shared memory {SHM}{name}, {status.st_size:,} bytes, not unlinked{place}"
    return found


def _mapped() -> set[str]:
    with contextlib.suppress(OSError), open("/proc/self/maps") as maps:
        return {line.partition(SHM)[2].rstrip("\n") for line in maps if SHM in line}
    return set()
