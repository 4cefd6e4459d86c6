"""The event loop: the native core, and what happens once in a loop's life.

Connections, pipes, TLS and subprocesses have modules of their own, which `EventLoop` is put together from.
"""

from __future__ import annotations

import asyncio
import os
import socket
import sys
import threading
import warnings
import weakref
from asyncio import base_events, events, unix_events
from asyncio.log import logger
from typing import TYPE_CHECKING, Any

from fenshen import blocked
from fenshen._fenshen import LoopCore
from fenshen._options import current
from fenshen.connections import Connections
from fenshen.executors import Executors
from fenshen.pipes import Pipes
from fenshen.subprocesses import Subprocesses
from fenshen.tls import TLS

if TYPE_CHECKING:
    import selectors

__all__ = ["EventLoop", "new_event_loop"]


class _Selector:
    """What is asked of a loop's selector: how a file is watched."""

    def __init__(self, loop: EventLoop) -> None:
        self._loop = weakref.ref(loop)

    def get_map(self) -> dict[int, Any]:
        """Every watched file's `selectors.SelectorKey`, by descriptor."""
        import selectors

        loop = self._loop()
        found = {}
        for fd, reading, writing, _internal in loop._watched() if loop is not None else ():
            mask = selectors.EVENT_READ * reading | selectors.EVENT_WRITE * writing
            found[fd] = selectors.SelectorKey(fd, fd, mask, None)
        return found

    def get_key(self, fileobj: Any) -> Any:
        """The `selectors.SelectorKey` of a watched file; KeyError if it isn't watched."""
        fd = fileobj if isinstance(fileobj, int) else fileobj.fileno()
        return self.get_map()[fd]


class EventLoop(LoopCore, TLS, Connections, Pipes, Subprocesses, Executors, asyncio.SelectorEventLoop):
    """An event loop with asyncio's contract (`asyncio.AbstractEventLoop`).

    `EventLoop(selector)` is asyncio's own loop on that selector; a class that is derived from this one takes none, and
    raises TypeError. Raises OSError when the process is out of file descriptors.
    """

    # Tells `nest_asyncio.apply()` to leave this class alone: it would put Python's ring in place of the native one.
    _nest_patched = True

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        """The loop, or asyncio's for a selector of the caller's."""
        if cls is EventLoop and any(selector is not None for selector in (*args, *kwargs.values())):
            return asyncio.SelectorEventLoop(*args, **kwargs)
        return super().__new__(cls)

    def __init__(self, selector: selectors.BaseSelector | None = None) -> None:
        if selector is not None:
            self._close()
            raise TypeError("this loop takes no selector; asyncio.SelectorEventLoop does")
        # Not asyncio's own: that would open a selector and a socket pair, which this loop has no use for.
        self._default_executor = None
        self._old_agen_hooks: Any = None
        self._outer_loop: Any = None
        self._exception_handler = None
        self._executor_shutdown_called = False
        self._asyncgens = weakref.WeakSet()
        self._asyncgens_shutdown_called = False
        self._coroutine_origin_tracking_enabled = False
        self._coroutine_origin_tracking_saved_depth = None
        self._signal_handlers: dict[int, Any] = {}
        self._acceptors: dict[int, Any] = {}
        self._transports = weakref.WeakValueDictionary()  # of transports that are asyncio's own
        self._unix_server_sockets: dict[Any, Any] = {}
        self._ssock = self._csock = None
        self._internal_fds = 0
        self._selector: _Selector | None = _Selector(self)
        if sys.version_info >= (3, 14):  # before, the policy had it
            pidfd = unix_events.can_use_pidfd()
            self._watcher = unix_events._PidfdChildWatcher() if pidfd else unix_events._ThreadedChildWatcher()
        self._stall_check: Any = None
        self._debug = coroutine_debug()

    # -- Running ------------------------------------------------------------------------------------------------------

    def run_forever(self) -> None:
        """Run until `stop()` is called.

        Raises RuntimeError if this loop or another one already runs in this thread, or if it is closed.
        """
        if self.is_running() and _nesting():
            self._check_running()
            self._run()
            return
        self._run_forever_setup()
        try:
            self._run()
        finally:
            self._run_forever_cleanup()

    def _run_forever_setup(self) -> None:
        """What comes before the first turn; a program that turns the loop itself (by `_run_once`) calls it too."""
        self._check_closed()
        self._check_running()
        if current.blocked is not blocked.settled:
            blocked.follow()
        self._stall_hook = None if current.deadlock == "off" else self._stall_check or _stalled
        self._set_coroutine_origin_tracking(self._debug)
        self._old_agen_hooks = sys.get_asyncgen_hooks()
        self._thread_id = threading.get_ident()
        sys.set_asyncgen_hooks(firstiter=self._asyncgen_firstiter_hook, finalizer=self._asyncgen_finalizer_hook)
        self._outer_loop = events._get_running_loop()
        events._set_running_loop(self)

    def _run_forever_cleanup(self) -> None:
        """What comes after the last turn."""
        self._stopping = False
        self._thread_id = None
        events._set_running_loop(self._outer_loop)
        self._outer_loop = None
        self._set_coroutine_origin_tracking(False)
        if self._old_agen_hooks is not None:
            sys.set_asyncgen_hooks(*self._old_agen_hooks)
            self._old_agen_hooks = None

    def _run_once(self) -> None:
        """One turn."""
        self._stopping = True
        self._run()

    def _check_running(self) -> None:
        if self.is_running():
            if self._owner_pid != os.getpid():
                raise RuntimeError(
                    f"this event loop was running in process {self._owner_pid} when it forked; "
                    "it cannot be used in the child: make a new one"
                )
            if not _nesting():
                raise RuntimeError("This event loop is already running")
        elif events._get_running_loop() is not None and not _nesting():
            raise RuntimeError("Cannot run the event loop while another loop is running")

    def close(self) -> None:
        """Close it: nothing that is still scheduled will run. RuntimeError if it runs. Closing twice is fine."""
        if self.is_running():
            raise RuntimeError("Cannot close a running event loop")
        if self.is_closed():
            return
        if self._debug:
            logger.debug("Close %r", self)
        if self._signal_handlers:
            self._drop_signal_handlers()
        self._close_self_pipe()
        self._close()
        self._selector = None
        self._executor_shutdown_called = True
        executor = self._default_executor
        if executor is not None:
            self._default_executor = None
            executor.shutdown(wait=False)

    # -- Signals ------------------------------------------------------------------------------------------------------

    def add_signal_handler(self, sig: int, callback: Any, *args: Any) -> None:
        """Have `callback(*args)` run on the loop when the signal arrives.

        Raises TypeError for a coroutine, ValueError for a signal that can't be handled or outside the main thread.
        """
        if self._csock is None:
            self._make_self_pipe()
        super().add_signal_handler(sig, callback, *args)

    def _make_self_pipe(self) -> None:
        self._ssock, self._csock = socket.socketpair()
        self._ssock.setblocking(False)
        self._csock.setblocking(False)
        self._internal_fds += 1
        self._add_reader(self._ssock.fileno(), self._read_from_self)
        self._mark_internal(self._ssock.fileno())

    def _close_self_pipe(self) -> None:
        if self._ssock is None:
            return
        self._remove_reader(self._ssock.fileno())
        self._ssock.close()
        self._csock.close()
        self._ssock = self._csock = None
        self._internal_fds -= 1

    def _drop_signal_handlers(self) -> None:
        if unix_events.sys.is_finalizing():
            message = f"Closing the loop {self!r} on interpreter shutdown stage, skipping signal handlers removal"
            warnings.warn(message, ResourceWarning, source=self, stacklevel=3)
            self._signal_handlers.clear()
            return
        for sig in list(self._signal_handlers):
            self.remove_signal_handler(sig)


def _stalled(loop: EventLoop) -> float | None:
    """Called by a loop that has nothing to do for the first time: from then on its own check is."""
    from fenshen.stalls import StallCheck

    loop._stall_hook = loop._stall_check = StallCheck()
    return loop._stall_check(loop)


def _nesting() -> bool:
    """Whether the program has called `nest_asyncio.apply()`: loops may then run within their own steps."""
    return hasattr(asyncio, "_nest_patched")


def coroutine_debug() -> bool:
    """Whether debug mode is asked for: `-X dev` or PYTHONASYNCIODEBUG."""
    return base_events.coroutines._is_debug_mode()


def new_event_loop() -> EventLoop:
    """A new event loop, for `asyncio.run(main(), loop_factory=fenshen.new_event_loop)` and the like."""
    return EventLoop()
