"""The process of a manager: what the standard library's does, and lines for the processes of this machine."""

from __future__ import annotations

import contextlib
import sys
import threading
import traceback
from multiprocessing import managers as _standard
from multiprocessing import process, reduction, util
from multiprocessing.managers import Token
from multiprocessing.reduction import ForkingPickler

from fenshen import _processes, _segments
from fenshen._manager_shared import Shared

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from multiprocessing.connection import Connection
    from typing import Any

# By this name a line's other end speaks to the server itself, and not to an object in it.
DESK = "server"
# The method of an object by which a process asks for the object itself.
ATTACH = "#ATTACH"


class Desk:
    """What can be asked of the server through a line."""

    exposed = frozenset({"create", "incref", "decref"})

    def __init__(self, server: Server):
        self._server = server

    def __getattr__(self, name: str) -> Callable[..., tuple[str, Any]]:
        function = getattr(self._server, name)

        def answer(*args: Any, **kwds: Any) -> tuple[str, Any]:
            """As the server answers a connection."""
            try:
                return "#RETURN", function(None, *args, **kwds)
            except Exception:
                return "#TRACEBACK", traceback.format_exc()

        return answer


class _Turn:
    """A connection on which one request comes, and one answer goes."""

    def __init__(self, request: Any):
        self._requests = [request]
        self.answer: Any = None

    def recv(self) -> Any:
        if not self._requests:
            raise EOFError
        return self._requests.pop()

    def send(self, answer: Any) -> None:
        self.answer = answer


def _cannot(error: Exception, *answer: Any) -> tuple[str, str]:
    """The answer where a request could not be unpickled, or its answer not pickled."""
    return "#UNSERIALIZABLE" if answer else "#TRACEBACK", "".join(traceback.format_exception(error))


class Server(_standard.Server):
    """The server of a manager: see `multiprocessing.managers.Server`."""

    public = [*_standard.Server.public, "accept_line"]  # noqa: RUF012
    fallback_mapping = {**_standard.Server.fallback_mapping}  # noqa: RUF012

    def __init__(self, *args: Any, **kwds: Any):
        super().__init__(*args, **kwds)
        self.id_to_obj[DESK] = (Desk(self), Desk.exposed, None)
        self.life: _processes.Segment | None = None

    def serve_forever(self) -> None:
        """Run the server forever; what is shared dies with the thread that does."""
        self.life = _processes.Segment(_processes.Life.size)
        _processes.Life(self.life, begin=True)
        super().serve_forever()

    def accept_line(self, c: Connection, name: str) -> None:
        """Serve a process of this machine, in this thread, over shared memory."""
        threading.current_thread().name = name
        line = _processes.Line(c.fileno())
        c.send(("#RETURN", None))
        c.recv()
        reduction.send_handle(c, line.memory, None)
        c.close()  # the line has its own descriptor of it
        try:
            line.serve(self.id_to_obj, self._answer_as_ever, self._answer_with_proxy, _cannot)
        except EOFError:
            util.debug("got EOF -- exiting thread serving %r", name)
            sys.exit(0)

    def _answer_as_ever(self, request: Any) -> Any:
        """The answer to a request that is not an ordinary one."""
        turn = _Turn(request)
        with contextlib.suppress(SystemExit):
            self.serve_client(turn)
        if turn.answer is None:
            sys.exit(0)  # the server stops
        return turn.answer

    def _answer_with_proxy(self, typeid: str, result: object) -> Any:
        """The answer where a method's result stays here, and a proxy of it is what the caller gets."""
        try:
            ident, exposed = self.create(None, typeid, result)
        except Exception:
            return "#TRACEBACK", traceback.format_exc()
        return "#PROXY", (exposed, Token(typeid, self.address, ident))

    def fallback_attach(self, conn: Any, ident: str, obj: object) -> bytes:
        """What lies in shared memory, for another process to have."""
        if not isinstance(obj, Shared) or not isinstance(conn, _Turn):
            raise TypeError(f"{type(obj).__name__!r} object is not in shared memory")
        with _segments.carrying():
            return bytes(ForkingPickler.dumps((obj, self.life)))


Server.fallback_mapping[ATTACH] = Server.fallback_attach


def server_here(address: Any) -> Server | None:
    """The server of that address, if it is this process."""
    server = getattr(process.current_process(), "_manager_server", None)
    return server if server is not None and server.address == address else None
