"""`multiprocessing.managers`, faster on one machine: `from fenshen.multiprocessing.managers import SyncManager`.

Each class derives from the standard library's of that name. Locks, semaphores, events, conditions, barriers and small
values of a `SyncManager` lie in shared memory, and proxies of this machine act on them there; everything else stays in
the manager's process, which they speak to through shared memory. A manager of another machine, or of the standard
library, is spoken to as the standard library does.
"""

from __future__ import annotations

from multiprocessing import managers as _standard
from multiprocessing import util
from multiprocessing.managers import *  # noqa: F403
from multiprocessing.managers import RebuildProxy as RebuildProxy
from multiprocessing.managers import State, Token, dispatch

from fenshen import _keeper, _keeping, _manager_shared
from fenshen._manager_proxy import AutoProxy as AutoProxy
from fenshen._manager_proxy import BaseProxy as BaseProxy
from fenshen._manager_proxy import MakeProxyType as MakeProxyType
from fenshen._manager_proxy import SharedProxy, ask
from fenshen._manager_server import Server as Server
from fenshen.multiprocessing import shared_memory

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

__all__ = [*_standard.__all__]


class AcquirerProxy(SharedProxy, _standard.AcquirerProxy):
    """The proxy of a lock or a semaphore."""

    def acquire(self, blocking: bool = True, timeout: float | None = None) -> bool:
        here = self._referent()
        if here is None:
            return super().acquire(blocking, timeout)
        return here.acquire(blocking) if timeout is None else here.acquire(blocking, timeout)

    def release(self) -> None:
        here = self._referent()
        return super().release() if here is None else here.release()

    def __enter__(self) -> bool:
        return self.acquire()

    def __exit__(self, *exc_info: object) -> None:
        return self.release()


class ConditionProxy(AcquirerProxy, _standard.ConditionProxy):
    """The proxy of a condition."""

    def wait(self, timeout: float | None = None) -> bool:
        here = self._referent()
        return super().wait(timeout) if here is None else here.wait(timeout)

    def notify(self, n: int = 1) -> None:
        here = self._referent()
        return super().notify(n) if here is None else here.notify(n)

    def notify_all(self) -> None:
        here = self._referent()
        return super().notify_all() if here is None else here.notify_all()


class EventProxy(SharedProxy, _standard.EventProxy):
    """The proxy of an event."""

    def is_set(self) -> bool:
        here = self._referent()
        return super().is_set() if here is None else here.is_set()

    def set(self) -> None:
        here = self._referent()
        return super().set() if here is None else here.set()

    def clear(self) -> None:
        here = self._referent()
        return super().clear() if here is None else here.clear()

    def wait(self, timeout: float | None = None) -> bool:
        here = self._referent()
        return super().wait(timeout) if here is None else here.wait(timeout)


class BarrierProxy(SharedProxy, _standard.BarrierProxy):
    """The proxy of a barrier."""

    def wait(self, timeout: float | None = None) -> int:
        here = self._referent()
        return super().wait(timeout) if here is None else here.wait(timeout)

    def abort(self) -> None:
        here = self._referent()
        return super().abort() if here is None else here.abort()

    def reset(self) -> None:
        here = self._referent()
        return super().reset() if here is None else here.reset()

    @property
    def parties(self) -> int:
        return self._get("parties")

    @property
    def n_waiting(self) -> int:
        return self._get("n_waiting")

    @property
    def broken(self) -> bool:
        return self._get("broken")

    def _get(self, name: str) -> Any:
        here = self._referent()
        return self._callmethod("__getattribute__", (name,)) if here is None else getattr(here, name)


class ValueProxy(SharedProxy, _standard.ValueProxy):
    """The proxy of a value."""

    def get(self) -> Any:
        here = self._referent()
        value = NotImplemented if here is None else here.get_here()
        return super().get() if value is NotImplemented else value

    def set(self, value: Any) -> None:
        here = self._referent()
        if here is None or not here.set_here(value):
            super().set(value)

    value = property(get, set)


class IteratorProxy(BaseProxy, _standard.IteratorProxy):
    """The proxy of an iterator."""


class NamespaceProxy(BaseProxy, _standard.NamespaceProxy):
    """The proxy of a namespace."""


class ListProxy(BaseProxy, _standard.ListProxy):  # type: ignore[type-arg]
    """The proxy of a list."""


class DictProxy(BaseProxy, _standard.DictProxy):  # type: ignore[type-arg]
    """The proxy of a dict."""


class ArrayProxy(BaseProxy, _standard.ArrayProxy):
    """The proxy of an array."""


class PoolProxy(BaseProxy, _standard.PoolProxy):
    """The proxy of a pool."""


if hasattr(_standard, "SetProxy"):

    class SetProxy(BaseProxy, _standard.SetProxy):
        """The proxy of a set."""


def _ours(proxytype: Any) -> Any:
    """Our class for a proxy class of the standard library's; any other as it is."""
    name = getattr(proxytype, "__name__", "")
    return globals()[name] if name in globals() and proxytype is getattr(_standard, name, None) else proxytype


class BaseManager(_standard.BaseManager):
    """What a manager derives from: see `multiprocessing.managers.BaseManager`."""

    _Server = Server

    def get_server(self) -> Server:
        """Return a server with the method `serve_forever()` and the attribute `address`.

        Raises ProcessError if the manager was started.
        """
        if self._state.value != State.INITIAL:
            super().get_server()
        return self._Server(self._registry, self._address, self._authkey, self._serializer)

    def _create(self, typeid: str, /, *args: Any, **kwds: Any) -> tuple[Token, tuple[str, ...]]:
        assert self._state.value == State.STARTED, "server not yet started"
        ident, exposed = self._ask("create", typeid, *args, **kwds)
        return Token(typeid, self._address, ident), exposed

    def _ask(self, what: str, *args: Any, **kwds: Any) -> Any:
        known = _standard.BaseProxy._address_to_local.get(self._address)
        tls = known[0] if known and hasattr(known[0], "line") else None
        return ask(tls, self._Client, self._address, self._authkey, what, *args, **kwds)

    @classmethod
    def register(
        cls,
        typeid: str,
        callable: Callable[..., Any] | None = None,
        proxytype: Any = None,
        exposed: Any = None,
        method_to_typeid: Any = None,
        create_method: bool = True,
    ) -> None:
        """Have the manager make things of a kind, and proxies of them.

        `typeid` is the kind's name; `callable` makes one in the manager's process; `proxytype` is the class of its
        proxies, by default one with the public methods, or those that `exposed` names; `method_to_typeid` says which
        methods return proxies, of what kind. With `create_method`, managers have a method of the kind's name.
        """
        proxytype = AutoProxy if proxytype is None else _ours(proxytype)
        super().register(typeid, callable, proxytype, exposed, method_to_typeid, False)
        if create_method:
            setattr(cls, typeid, _maker(typeid, proxytype))


def _maker(typeid: str, proxytype: Any) -> Callable[..., Any]:
    def make(self: BaseManager, /, *args: Any, **kwds: Any) -> Any:
        util.debug("requesting creation of a shared %r object", typeid)
        token, exposed = self._create(typeid, *args, **kwds)
        proxy = proxytype(token, self._serializer, manager=self, authkey=self._authkey, exposed=exposed)
        self._ask("decref", token.id)
        return proxy

    make.__name__ = typeid
    return make


class SyncManager(BaseManager, _standard.SyncManager):
    """A manager of locks, queues, values, dicts, lists and pools: see `multiprocessing.managers.SyncManager`."""


_IN_SHARED_MEMORY = {
    "Lock": _manager_shared.Lock,
    "RLock": _manager_shared.RLock,
    "Semaphore": _manager_shared.Semaphore,
    "BoundedSemaphore": _manager_shared.BoundedSemaphore,
    "Event": _manager_shared.Event,
    "Condition": _manager_shared.make_condition,
    "Barrier": _manager_shared.make_barrier,
    "Value": _manager_shared.Value,
}

for _typeid, (_callable, _exposed, _methods, _proxytype) in _standard.SyncManager._registry.items():
    SyncManager.register(
        _typeid,
        _IN_SHARED_MEMORY.get(_typeid, _callable),
        _proxytype if _proxytype is not _standard.AutoProxy else None,
        _exposed,
        _methods,
        hasattr(_standard.SyncManager, _typeid),
    )


class SharedMemoryServer(Server, _standard.SharedMemoryServer):
    """The server of a `SharedMemoryManager`."""

    public = [*_standard.SharedMemoryServer.public, "accept_line"]  # noqa: RUF012

    def track_segment(self, c: Any, segment_name: str) -> None:
        """Take over a block: it goes with the manager."""
        super().track_segment(c, segment_name)
        inode = _keeper.inode_of(segment_name)
        if inode is not None:
            _keeping.tell("+", segment_name, inode)


class SharedMemoryManager(BaseManager, _standard.SharedMemoryManager):
    """A manager of blocks of shared memory: see `multiprocessing.managers.SharedMemoryManager`."""

    _Server = SharedMemoryServer

    def SharedMemory(self, size: int) -> shared_memory.SharedMemory:
        """Return a new block of `size` bytes, which goes with the manager."""
        block = shared_memory.SharedMemory(create=True, size=size, track=False)
        self._track(block)
        return block

    def ShareableList(self, sequence: Any) -> shared_memory.ShareableList:
        """Return a new list of what `sequence` holds, whose block goes with the manager."""
        made = shared_memory.ShareableList.__new__(shared_memory.ShareableList)
        shared_memory.make_untracked(made, sequence)
        self._track(made.shm)
        return made

    def _track(self, block: Any) -> None:
        try:
            with self._Client(self._address, authkey=self._authkey) as conn:
                dispatch(conn, None, "track_segment", (block.name,))
        except BaseException:
            block.unlink()
            raise


def __getattr__(name: str) -> Any:
    return getattr(_standard, name)
