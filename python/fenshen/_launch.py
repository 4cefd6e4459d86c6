"""How a pool's worker processes are started."""

from __future__ import annotations

from multiprocessing import reduction
from typing import Any


def _run(target: Any, args: Any, fds: Any) -> None:
    target(*args, fds=[fd if isinstance(fd, int) else fd.detach() for fd in fds])


class _Fd:
    def __init__(self, fd: int) -> None:
        self.fd = fd

    def __reduce__(self) -> Any:
        return reduction.DupFd(self.fd), ()


class launcher:
    def __init__(self, context: Any) -> None:
        self.context = context

    def start(self, target: Any, args: Any, fds: Any, name: Any = None) -> Any:
        import os

        if self.context.get_start_method() == "fork":
            fds = [os.dup(fd) for fd in fds]
        else:
            fds = [_Dup(fd) for fd in fds]
        process = self.context.Process(target=_run, args=(target, args, fds), name=name)
        process.start()
        if self.context.get_start_method() == "fork":
            for fd in fds:
                os.close(fd)
        process.__dict__["sentinel2"] = 1
        return process

    def close(self) -> None: ...


class _Dup:
    def __init__(self, fd: int) -> None:
        self.fd = fd

    def __getstate__(self) -> Any:
        return reduction.DupFd(self.fd)

    def __setstate__(self, dup: Any) -> None:
        self.dup = dup

    def detach(self) -> int:
        return self.dup.detach()
