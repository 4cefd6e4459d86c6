"""The table of what `install` replaces: one row for each name in each standard module.

`install`, `uninstall`, `fenshen doctor` and `fenshen.asyncio` all read this table and know no name by themselves. A
row names our object as text, so that reading the table imports nothing; a row whose object does not exist (yet, or on
this Python) is left out when it comes to be used.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False

if TYPE_CHECKING:
    from collections.abc import Iterator

MISSING = object()


def _is_standard(name: str, module: object) -> bool:
    """Whether it is the standard library's module, if it has the name of one."""
    file = getattr(module, "__file__", None)
    if name.partition(".")[0] not in sys.stdlib_module_names or not isinstance(file, str):
        return True
    home = os.path.join(os.path.dirname(os.__file__), "")
    return file.startswith(home) and not file[len(home) :].startswith(("site-packages", "dist-packages"))


class Part:
    """One name to replace.

    `group` is what switches it ("loop", "threads", "processes", "deadlock" for what goes with threads where deadlocks
    are looked for, "advise", or "any" for what goes with every one of them);
    `attribute` may be dotted, for a class's attribute; `source` is "module:name" of ours. With `wrap`, ours is called
    with the standard object and returns the replacement. `shown` is the name under which people know it, None for
    plumbing.
    """

    __slots__ = ("attribute", "group", "module", "shown", "source", "wrap")

    def __init__(
        self, group: str, module: str, attribute: str, source: str, *, wrap: bool = False, shown: str | None = None
    ):
        self.group = group
        self.module = module
        self.attribute = attribute
        self.source = source
        self.wrap = wrap
        self.shown = shown

    @property
    def trigger(self) -> str:
        """The module after whose import this part can be put in: a package is whole only when its `__init__` has
        run.
        """
        if self.module.startswith("asyncio."):
            return "asyncio"
        return "concurrent.futures" if self.module == "concurrent.futures._base" else self.module

    def owner(self) -> tuple[object, str] | None:
        """Where the name lives now and its last part; None if this Python has no such name."""
        place: object = sys.modules.get(self.module)
        if not _is_standard(self.module, place):
            return None  # a file of the program's that has the name
        *way, name = self.attribute.split(".")
        for step in way:
            place = getattr(place, "__dict__", {}).get(step)
        if place is None or name not in vars(place):
            return None
        return place, name

    def ours(self, original: object) -> object:
        """Our object for `original`, or MISSING."""
        module, _, name = self.source.partition(":")
        __import__(module)
        ours = getattr(sys.modules[module], name, MISSING)
        return ours(original) if self.wrap and callable(ours) else ours


_parts: list[Part] = []


def add(group: str, module: str, attribute: str, source: str, *, wrap: bool = False, shown: str | None = None) -> None:
    """Add a row; see `Part` for the columns."""
    _parts.append(Part(group, module, attribute, source, wrap=wrap, shown=shown))


def all_parts() -> Iterator[Part]:
    """Every row, in the order in which they are put in."""
    return iter(_parts)


def triggers() -> set[str]:
    """The modules after whose import there is something to put in."""
    return {part.trigger for part in _parts}


def _add_asyncio() -> None:
    native = {
        "futures": ("Future",),
        "tasks": ("Task", "sleep", "gather", "wait", "wait_for", "shield", "ensure_future"),
        "queues": ("Queue", "LifoQueue", "PriorityQueue"),
        "streams": ("StreamReader", "StreamReaderProtocol", "StreamWriter"),
        "locks": ("Lock", "Event", "Condition", "Semaphore", "BoundedSemaphore", "Barrier"),
    }
    streams = ("open_connection", "start_server", "open_unix_connection", "start_unix_server")
    rows = [(module, name, "fenshen._fenshen") for module, names in native.items() for name in names]
    rows += [("streams", name, "fenshen.streams") for name in streams]
    for module, name, home in rows:
        add("loop", f"asyncio.{module}", name, f"{home}:{name}")
        add("loop", "asyncio", name, f"{home}:{name}", shown=f"asyncio.{name}")
    for module in ("asyncio.tasks", "asyncio"):
        add("loop", module, "eager_task_factory", "fenshen._adapters:eager_task_factory", wrap=True)
    for module in ("asyncio.events", "asyncio"):
        add("loop", module, "_set_running_loop", "fenshen._adapters:set_running_loop", wrap=True)
    for module in ("asyncio.unix_events", "asyncio"):
        add(
            "loop",
            module,
            "EventLoop",
            "fenshen.loop:EventLoop",
            shown="asyncio.EventLoop" if module == "asyncio" else None,
        )
    # The default policy's own hook for its loop class: no policy is made, set or replaced, so a program's own policy
    # stays what it is and nothing deprecated is called.
    policy = "_UnixDefaultEventLoopPolicy._loop_factory"
    add("loop", "asyncio.unix_events", policy, "fenshen.loop:EventLoop", shown="asyncio.new_event_loop")


def _add_servers() -> None:
    """Those that would choose a loop for a program that has asked for none."""
    for module, setup in (("auto", "auto_loop_setup"), ("asyncio", "asyncio_setup")):
        module, factory = f"uvicorn.loops.{module}", f"{module}_loop_factory"
        add("loop", module, factory, "fenshen._adapters:uvicorn_loop_factory", wrap=True)
        add("loop", module, setup, "fenshen._adapters:uvicorn_loop_setup", wrap=True)


def _add_threads() -> None:
    # Without an eye on deadlocks the interpreter's own locks are as good.
    for name in ("Lock", "RLock"):
        add("deadlock", "threading", name, f"fenshen._threads:{name}", shown=f"threading.{name}")
    for method in ("_set_native_id", "join"):
        add("deadlock", "threading", f"Thread.{method}", f"fenshen._thread_ends:{method.lstrip('_')}", wrap=True)
    for name in ("Condition", "Semaphore", "BoundedSemaphore", "Event", "Barrier"):
        add("threads", "threading", name, f"fenshen._threads:{name}", shown=f"threading.{name}")
    for name in ("Queue", "LifoQueue", "PriorityQueue", "SimpleQueue"):
        add("threads", "queue", name, f"fenshen.queue:{name}", shown=f"queue.{name}")
    for name in ("Future", "wait", "as_completed"):
        add("threads", "concurrent.futures._base", name, f"fenshen._waiting:{name}")
        add("threads", "concurrent.futures", name, f"fenshen._waiting:{name}", shown=f"concurrent.futures.{name}")
    # Looked up in its own module when it is asked for; the second row is for a program that had asked before.
    pool, home = "ThreadPoolExecutor", "fenshen._thread_executor"
    add("threads", "concurrent.futures.thread", pool, f"{home}:{pool}", shown=f"concurrent.futures.{pool}")
    add("threads", "concurrent.futures", pool, f"{home}:{pool}")
    pool = "multiprocessing.pool.ThreadPool"
    add("threads", "multiprocessing.pool", "ThreadPool", "fenshen._thread_pool:ThreadPool", shown=pool)
    add("threads", "multiprocessing.synchronize", "Barrier", "fenshen._adapters:shared_barrier", wrap=True)
    add("threads", "gevent.monkey", "patch_thread", "fenshen._gevent:patch_thread", wrap=True)


def _add_advice() -> None:
    """Where functions are handed to threads and to pools."""
    add("advise", "threading", "Thread._bootstrap_inner", "fenshen.advice.hooks:bootstrap_inner", wrap=True)
    for module, method in (
        ("concurrent.futures.thread", "ThreadPoolExecutor.submit"),
        ("fenshen._threads", "PoolCore.submit"),
    ):
        add("advise", module, method, "fenshen.advice.hooks:submit", wrap=True)
    for method in ("apply_async", "_map_async", "imap", "imap_unordered"):
        add("advise", "multiprocessing.pool", f"Pool.{method}", "fenshen.advice.hooks:pool_method", wrap=True)
    add("advise", "multiprocessing.util", "_exit_function", "fenshen.advice.hooks:exit_function", wrap=True)


_add_asyncio()
_add_servers()
_add_advice()  # before the threads: the standard pool is measured under its own name, ours where it is made
_add_threads()
add("any", "multiprocessing.util", "_args_from_interpreter_flags", "fenshen.children:add_option", wrap=True)
add("any", "multiprocessing.spawn", "get_preparation_data", "fenshen.children:add_state", wrap=True)


def _add_synchronize() -> None:
    for name in ("Lock", "RLock", "Semaphore", "BoundedSemaphore", "Condition", "Event", "Barrier"):
        home = "multiprocessing.synchronize"
        add("processes", home, name, f"fenshen.{home}:{name}", shown=f"multiprocessing.{name}")
    for name in ("Value", "Array", "RawValue", "RawArray", "copy", "synchronized"):
        home = "multiprocessing.sharedctypes"
        shown = f"multiprocessing.{name}" if name[0].isupper() else None
        add("processes", home, name, f"fenshen.{home}:{name}", shown=shown)


def _add_process_pools() -> None:
    pool, home = "ProcessPoolExecutor", "fenshen._process_executor:Installed"
    add("processes", "concurrent.futures.process", pool, home, shown=f"concurrent.futures.{pool}")
    add("processes", "concurrent.futures", pool, home)
    pool = "multiprocessing.pool.Pool"
    add("processes", "multiprocessing.pool", "Pool", "fenshen._process_pool:Pool", shown=pool)


def _add_managers() -> None:
    home = "multiprocessing.managers"
    kinds = "Acquirer Condition Event Barrier Iterator Namespace Value List Dict Set Array Pool"
    for name in ("BaseProxy", "MakeProxyType", "AutoProxy", *(f"{kind}Proxy" for kind in kinds.split())):
        add("processes", home, name, f"fenshen.{home}:{name}")
    # Not `Server`: the standard library's own SharedMemoryServer, which ours stands on, calls it by that name.
    add("processes", home, "SharedMemoryServer", f"fenshen.{home}:SharedMemoryServer")
    for name in ("BaseManager", "SyncManager", "SharedMemoryManager"):
        add("processes", home, name, f"fenshen.{home}:{name}", shown=f"{home}.{name}")
    home = "multiprocessing.shared_memory"
    for name in ("SharedMemory", "ShareableList"):
        add("processes", home, name, f"fenshen.{home}:{name}", shown=f"{home}.{name}")
    for name in ("register", "unregister"):
        add("processes", "multiprocessing.resource_tracker", name, f"fenshen._tracking:{name}", wrap=True)


_add_process_pools()
_add_managers()
_add_synchronize()


def _add_queues() -> None:
    # Not the classes: others derive from the standard ones, and use what is inside.
    for name in ("Queue", "JoinableQueue", "SimpleQueue"):
        home, ours = "multiprocessing.context", "fenshen._process_factories"
        add("processes", home, f"BaseContext.{name}", f"{ours}:{name}", wrap=True, shown=f"multiprocessing.{name}")
        add("processes", "multiprocessing", name, f"{ours}:bound_{name}", wrap=True)
    home = "multiprocessing.connection"
    add("processes", home, "Connection", f"fenshen.{home}:Connection", shown=f"{home}.Connection")
    add("processes", home, "Pipe", f"fenshen.{home}:Pipe", shown="multiprocessing.Pipe")


_add_queues()
