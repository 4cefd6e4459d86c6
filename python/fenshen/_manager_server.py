"""The process of a manager: what the standard library's does, and lines for the processes of this machine."""

from __future__ import annotations

import sys
import threading
from multiprocessing import managers as _standard
from multiprocessing import reduction
from multiprocessing.reduction import ForkingPickler

from fenshen import _processes, _segments
from fenshen._manager_shared import Shared

TYPE_CHECKING = False
if TYPE_CHECKING:
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

    def create(self, typeid: str, /, *args: Any, **kwds: Any) -> Any:
        return self._server.create(None, typeid, *args, **kwds)

    def incref(self, ident: str) -> None:
        self._server.incref(None, ident)

    def decref(self, ident: str) -> None:
        self._server.decref(None, ident)


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
        reduction.send_handle(c, line.memory, None)
        self.serve_client(line)

    def fallback_attach(self, conn: Any, ident: str, obj: object) -> bytes:
        """What lies in shared memory, for another process to have."""
        if not isinstance(obj, Shared) or not isinstance(conn, _processes.Line):
            raise TypeError(f"{type(obj).__name__!r} object is not in shared memory")
        with _segments.carrying():
            return bytes(ForkingPickler.dumps((obj, self.life)))


Server.fallback_mapping[ATTACH] = Server.fallback_attach


def server_here(address: Any) -> Server | None:
    """The server of that address, if it is this process."""
    process = sys.modules["multiprocessing.process"].current_process()
    server = getattr(process, "_manager_server", None)
    return server if server is not None and server.address == address else None
