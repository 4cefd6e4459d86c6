"""Who removes a named block of shared memory when the processes that use it have ended: see `_keeper`.

A program has one keeper, started with its first tracked block. Children know it by what `multiprocessing` hands down
from process to process; one whose parent had none starts its own, which waits for the parent as well.
"""

from __future__ import annotations

import contextlib
import os
import stat
import threading
from multiprocessing import parent_process, process, spawn, util

from fenshen import _keeper

ROOT = "fenshen-root"
KEEPER = "fenshen-keeper"


class _Keeping:
    """This process's side."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.pipe = -1
        # What this process told, in case the keeper is killed.
        self.told: dict[str, int] = {}
        self.many = 64

    def tell(self, sign: str, name: str, inode: int) -> None:
        """Tell the keeper of a block."""
        line = _line(sign, name, inode)
        with self.lock:
            if sign == "+":
                self.told[name] = inode
                if len(self.told) > self.many:
                    self.forget_removed()
            elif self.told.pop(name, None) is None and self.pipe < 0:
                return
            try:
                if self.pipe < 0:
                    self.pipe = _reach() or _start()
                os.write(self.pipe, line)
            except BrokenPipeError:
                self.start_again()

    def forget_removed(self) -> None:
        """Others may have unlinked what this process made."""
        self.told = {name: inode for name, inode in self.told.items() if _keeper.inode_of(name) == inode}
        self.many = 2 * max(len(self.told), 64)

    def start_again(self) -> None:
        """The keeper is gone: another one has to know what it knew."""
        os.close(self.pipe)
        self.pipe = -1
        self.pipe = _start()
        for name, inode in self.told.items():
            os.write(self.pipe, _line("+", name, inode))

    def forget(self, name: str) -> None:
        """The block has been removed."""
        with self.lock:
            self.told.pop(name, None)

    def after_fork(self) -> None:
        """The child has the pipe too, and so lives for the keeper as its parent does."""
        self.lock = threading.Lock()
        self.told = {}


def _line(sign: str, name: str, inode: int) -> bytes:
    return f"{sign} {inode} {os.fsencode(name).hex()}\n".encode()


def _reach() -> int | None:
    """The parent's keeper, if there is one."""
    known = process.current_process()._config.get(KEEPER)  # type: ignore[attr-defined]
    if known is None:
        return None
    pid, number, inode = known
    try:
        fd = os.open(f"/proc/{pid}/fd/{number}", os.O_WRONLY | os.O_CLOEXEC)
    except OSError:
        return None
    status = os.fstat(fd)
    if stat.S_ISFIFO(status.st_mode) and status.st_ino == inode:
        return fd
    os.close(fd)
    return None


def _root() -> int:
    """The process with which the program ends, if that is another one; else 0."""
    known = process.current_process()._config.get(ROOT, 0)  # type: ignore[attr-defined]
    if not known:
        parent = parent_process()
        known = parent.pid if parent is not None else 0
    return 0 if known == os.getpid() else known


def _start() -> int:
    """Start a keeper; returns where to tell it."""
    listens, tells = os.pipe()
    answer, answers = os.pipe()
    try:
        program = spawn.get_executable()
        args = [program, "-I", "-S", _keeper.__file__, str(listens), str(answers), str(_root())]
        child = util.spawnv_passfds(program, args, [listens, answers])  # type: ignore[attr-defined]
        os.close(answers)
        answers = -1
        pid = os.read(answer, 32)
        with contextlib.suppress(ChildProcessError):  # the program may wait for all that ends
            os.waitpid(child, 0)
        if not pid:
            raise OSError("the process that removes shared memory did not start")
    except BaseException:
        os.close(tells)
        raise
    finally:
        inode = os.fstat(listens).st_ino
        for fd in (listens, answer, answers):
            if fd >= 0:
                os.close(fd)
    process.current_process()._config[KEEPER] = (int(pid), listens, inode)  # type: ignore[attr-defined]
    return tells


_keeping = _Keeping()
tell, forget = _keeping.tell, _keeping.forget
os.register_at_fork(after_in_child=_keeping.after_fork)
if parent_process() is None:
    process.current_process()._config.setdefault(ROOT, os.getpid())  # type: ignore[attr-defined]
