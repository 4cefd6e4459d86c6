"""Proxies that speak to a manager of this machine through a line, and to any other as the standard library's do."""

from __future__ import annotations

import contextlib
import importlib
import os
import threading
import weakref
from multiprocessing import managers as _standard
from multiprocessing import process, reduction, util
from multiprocessing.managers import RemoteError, State, Token, convert_to_error, dispatch

from fenshen import _processes
from fenshen._manager_server import ATTACH, DESK, server_here

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from fenshen._manager_shared import Shared
    from fenshen._processes import Line

# What this process has of what lies in shared memory, by its manager's address and its name there.
_known: weakref.WeakValueDictionary[Any, Any] = weakref.WeakValueDictionary()
_knowing = util.ForkAwareThreadLock()
# The managers of this machine that have no lines: the standard library's.
_without_lines: set[Any] = set()


def _is_near(address: Any) -> bool:
    """Whether a manager of this machine listens there, on a socket that carries descriptors."""
    return isinstance(address, (str, bytes)) and address not in _without_lines


def _thread_name() -> str:
    name = process.current_process().name
    thread = threading.current_thread().name
    return name if thread == "MainThread" else f"{name}|{thread}"


def _open_line(client: Callable[..., Any], address: Any, authkey: bytes) -> Line | None:
    """This thread's own line to a manager; None if it has none to offer."""
    with client(address, authkey=authkey) as conn:
        try:
            dispatch(conn, None, "accept_line", (_thread_name(),))
        except RemoteError:
            _without_lines.add(address)
            return None
        conn.send(None)  # nobody reads ahead now: the descriptor would be lost
        memory = reduction.recv_handle(conn)
        try:
            return _processes.Line(conn.fileno(), memory)
        finally:
            os.close(memory)


def _line_of(tls: Any, client: Callable[..., Any], address: Any, authkey: bytes) -> Line | None:
    """This thread's line, opened if need be; None where there is none."""
    try:
        return tls.line
    except AttributeError:
        line = tls.line = _open_line(client, address, authkey) if _is_near(address) else None
        return line


def ask(tls: Any, client: Callable[..., Any], address: Any, authkey: bytes, what: str, *args: Any, **kwds: Any) -> Any:
    """Ask a manager's server for something: `create`, `incref` or `decref`."""
    if tls is not None and client is _standard.listener_client["pickle"][1]:
        line = _line_of(tls, client, address, authkey)
        if line is not None:
            try:
                return _answer(*_answer(*_call(tls, line, (DESK, what, args, kwds))))
            except BlockingIOError:
                pass  # in the middle of another call: a finaliser, or a signal handler
    with contextlib.closing(client(address, authkey=authkey)) as conn:
        return dispatch(conn, None, what, args, kwds)


def _call(tls: Any, line: Line, request: tuple[Any, ...]) -> tuple[str, Any]:
    try:
        return line.call(request)
    except (EOFError, BrokenPipeError, ConnectionResetError):
        raise  # it stays broken, as a connection does
    except BaseException:
        if line.closed:  # interrupted half-way
            tls.__dict__.pop("line", None)
        raise


def _answer(kind: str, result: Any) -> Any:
    if kind == "#RETURN":
        return result
    try:
        raise convert_to_error(kind, result)
    finally:
        del result


class BaseProxy(_standard.BaseProxy):
    """What a proxy derives from: see `multiprocessing.managers.BaseProxy`."""

    def _callmethod(self, methodname: str, args: tuple[Any, ...] = (), kwds: dict[str, Any] = {}) -> Any:  # noqa: B006
        """Call a method of the referent and return a copy of the result.

        Raises what the method raises, RemoteError for what cannot be pickled, and OSError or EOFError where the
        manager is gone.
        """
        line = getattr(self._tls, "line", None) or self._get_line()
        if line is None:
            return super()._callmethod(methodname, args, kwds)
        try:
            return line.request(self, methodname, args, kwds)
        except BaseException:
            if line.interrupted:  # half-way: the answer is still to come, and nobody waits for it
                self._tls.__dict__.pop("line", None)
            raise

    def _get_line(self) -> Line | None:
        if not self._pickles():
            return None
        return _line_of(self._tls, self._Client, self._token.address, self._authkey)

    def _call_apart(self, methodname: str, args: tuple[Any, ...], kwds: dict[str, Any]) -> Any:
        """The same in the middle of another call: in a finaliser, or a signal handler."""
        line = _open_line(self._Client, self._token.address, self._authkey)
        assert line is not None  # there was one before
        return line.request(self, methodname, args, kwds)

    def _understand(self, answer: tuple[str, Any]) -> Any:
        """What an answer other than a plain result says."""
        kind, result = answer
        if kind == "#PROXY":
            return self._proxy_of(*result)
        try:
            raise convert_to_error(kind, result)
        finally:
            del answer, result  # which the traceback would keep, and they the traceback

    def _pickles(self) -> bool:
        return self._Client is _standard.listener_client["pickle"][1]

    def _proxy_of(self, exposed: tuple[str, ...], token: Token) -> Any:
        """A proxy of what a method returned, which has been counted for us."""
        assert self._manager is not None
        proxytype = self._manager._registry[token.typeid][-1]
        token.address = self._token.address
        proxy = proxytype(token, self._serializer, manager=self._manager, authkey=self._authkey, exposed=exposed)
        ask(self._tls, self._Client, token.address, self._authkey, "decref", token.id)
        return proxy

    def _incref(self) -> None:
        if self._owned_by_manager:
            util.debug("owned_by_manager skipped INCREF of %r", self._token.id)
            return
        ask(self._tls, self._Client, self._token.address, self._authkey, "incref", self._id)
        util.debug("INCREF %r", self._token.id)
        self._idset.add(self._id)
        state = self._manager and self._manager._state
        self._close = util.Finalize(
            self,
            BaseProxy._decref,
            args=(self._token, self._authkey, state, self._tls, self._idset, self._Client),
            exitpriority=10,
        )

    @staticmethod
    def _decref(token: Token, authkey: bytes, state: State | None, tls: Any, idset: set[str], _Client: Any) -> None:
        idset.discard(token.id)
        if state is None or state.value == State.STARTED:
            try:
                util.debug("DECREF %r", token.id)
                ask(tls if hasattr(tls, "line") else None, _Client, token.address, authkey, "decref", token.id)
            except Exception as e:
                util.debug("... decref failed %s", e)
        else:
            util.debug("DECREF %r -- manager already shutdown", token.id)
        if not idset:
            for name in ("line", "connection"):
                connection = tls.__dict__.pop(name, None)
                if connection is not None:
                    connection.close()

    def __reduce__(self) -> tuple[Any, ...]:
        function, (kind, *rest) = super().__reduce__()
        if not _is_near(self._token.address):
            # Where it goes, there may be none of us.
            return function, (_standard_of(kind), *rest)
        return function, (AutoProxy if kind is _standard.AutoProxy else kind, *rest)


class _Named:
    """Pickled, it is what the module `multiprocessing.managers` has by that name where it arrives."""

    def __init__(self, name: str | None):
        self._name = name

    def __reduce__(self) -> Any:
        if self._name is None:
            return importlib.import_module, (_standard.__name__,)
        return getattr, (_Named(None), self._name)


def _standard_of(kind: Any) -> Any:
    """The standard library's class for a proxy class of ours; what is neither is itself."""
    name = getattr(kind, "__name__", "")
    ours = getattr(kind, "__module__", "").startswith("fenshen.") or kind is _standard.AutoProxy
    return _Named(name) if ours and hasattr(_standard, name) else kind


class SharedProxy(BaseProxy):
    """A proxy of what may lie in shared memory."""

    # The referent itself, as it lies there.
    _here: Any = None
    _far = False

    def _referent(self) -> Shared | None:
        """The referent, if it lies in shared memory and its manager lives; None where the manager is to be asked."""
        here = self._here
        if here is None:
            here = None if self._far else self._attach()
        elif here.life is not None and here.life.is_over():
            return None
        return here

    def _attach(self) -> Shared | None:
        server = server_here(self._token.address)
        if server is not None:
            entry = server.id_to_obj.get(self._id) or server.id_to_local_proxy_obj.get(self._id)
            self._here = entry[0] if entry and hasattr(entry[0], "bind") else None
        elif _is_near(self._token.address) and self._pickles():
            self._here = self._find_shared()
        self._far = self._here is None
        return self._here

    def _find_shared(self) -> Shared | None:
        """The one that this process has, of whatever proxy: a thread that owns a lock owns it through each."""
        key = (self._token.address, self._id)
        here = _known.get(key)
        if here is None or here.life.is_over():
            here = self._get_shared()
            if here is not None:
                with _knowing:
                    before = _known.get(key)
                    if before is not None and not before.life.is_over():
                        return before
                    _known[key] = here
        return here

    def _get_shared(self) -> Shared | None:
        try:
            here, life = reduction.ForkingPickler.loads(self._callmethod(ATTACH))
        except (RemoteError, RuntimeError):
            return None  # it is the manager's own, or the manager's memory is not to be had
        here.bind(_processes.Life(life))
        return here


def MakeProxyType(name: str, exposed: Any, _cache: dict[Any, type] = {}) -> type:  # noqa: B006
    """Return a proxy type whose methods are given by `exposed`."""
    exposed = tuple(exposed)
    known = _cache.get((name, exposed))
    if known is None:
        methods = {method: _forward(method) for method in exposed}
        known = _cache[name, exposed] = type(name, (BaseProxy,), {**methods, "_exposed_": exposed})
    return known


def _forward(name: str) -> Callable[..., Any]:
    def method(self: BaseProxy, /, *args: Any, **kwds: Any) -> Any:
        return self._callmethod(name, args, kwds)

    method.__name__ = method.__qualname__ = name
    return method


def AutoProxy(
    token: Token,
    serializer: str,
    manager: Any = None,
    authkey: bytes | None = None,
    exposed: Any = None,
    incref: bool = True,
    manager_owned: bool = False,
) -> Any:
    """Return a proxy with the public methods of what `token` stands for."""
    if exposed is None:
        with contextlib.closing(_standard.listener_client[serializer][1](token.address, authkey=authkey)) as conn:
            exposed = dispatch(conn, None, "get_methods", (token,))
    if authkey is None and manager is not None:
        authkey = manager._authkey
    if authkey is None:
        authkey = process.current_process().authkey
    kind = MakeProxyType(f"AutoProxy[{token.typeid}]", exposed)
    proxy = kind(token, serializer, manager=manager, authkey=authkey, incref=incref, manager_owned=manager_owned)
    proxy._isauto = True
    return proxy


def _forget_lines() -> None:
    """A forked child must not speak through its parent's lines."""
    for tls, _ in _standard.BaseProxy._address_to_local.values():
        tls.__dict__.pop("line", None)


os.register_at_fork(after_in_child=_forget_lines)
