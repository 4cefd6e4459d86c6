"""How a segment, and all that lies in it, reaches another process.

Segments have no names. A forked child has those of its parent; one that is spawned gets their descriptors with its
preparation; through our own channels goes where the descriptor is open, and the receiver opens it from there. Whoever
pickles one for anything else gets the standard library's RuntimeError.
"""

from __future__ import annotations

import copyreg
import os
import threading
import weakref
from multiprocessing import context, reduction

from fenshen._processes import Block, Segment, carry_with

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

_known: weakref.WeakValueDictionary[tuple[int, int], Segment] = weakref.WeakValueDictionary()


class _Carrier(threading.local):
    pins: list[object] | None = None


_carrier = _Carrier()


class carrying:
    """`with carrying() as pins: dumps(...)`: what is pickled in this thread goes to a process of ours.

    `pins` is a list of what is pickled by reference on the way, segments above all. The sender keeps it until the
    receiver has loaded what
    was pickled: until then nobody else may have them.
    """

    __slots__ = ("_outer",)

    def __enter__(self) -> list[object]:
        self._outer = _carrier.pins
        pins = _carrier.pins = []
        return pins

    def __exit__(self, *exc_info: object) -> None:
        _carrier.pins = self._outer


def check(o: object) -> None:
    """See that `o` may be pickled now.

    Raises RuntimeError, in the standard library's words, if it goes neither to a child that is being spawned nor
    through a channel of ours.
    """
    if _carrier.pins is None:
        context.assert_spawning(o)


def keep_apart(of_fork: bool) -> None:
    """See that what a "fork" context made goes to no child that is spawned, where this Python's own may not.

    Raises RuntimeError, in the standard library's words.
    """
    if of_fork and not is_carried() and _keeps_apart():
        raise RuntimeError(
            "A SemLock created in a fork context is being shared with a process in a spawn context. This is not "
            "supported. Please use the same context to create multiprocessing objects and Process."
        )


def _keeps_apart() -> bool:
    from multiprocessing import synchronize

    return "_is_fork_ctx" in synchronize.SemLock.__init__.__code__.co_names


def is_carried() -> bool:
    """Whether what is pickled in this thread goes through a channel of ours."""
    return _carrier.pins is not None


def pin(o: object) -> None:
    """Keep `o`, which is pickled by reference in this thread, alive until the receiver has it."""
    if _carrier.pins is not None:
        _carrier.pins.append(o)


def _reduce(segment: Segment) -> tuple[Callable[..., Segment], tuple[Any, ...]]:
    check(segment)
    identity = segment.identity
    _known[identity] = segment
    popen = context.get_spawning_popen()
    if is_carried():
        pin(segment)
        return _open, (*identity, os.getpid(), segment.fd)
    return _inherit, (*identity, duplicate(popen, segment.fd))


def duplicate(popen: Any, fd: int) -> Any:
    """A descriptor for a child that is being spawned, which must not get it twice."""
    given = getattr(popen, "_fds", [])
    if fd not in given:
        return reduction.DupFd(fd)
    return popen.DupFd(given.index(fd) if popen.method == "forkserver" else fd)


def _adopt(identity: tuple[int, int], fd: int) -> Segment:
    segment = Segment(fd=fd)
    if segment.identity != identity:
        raise RuntimeError("the shared memory is gone: the process that sent it has ended")
    return _known.setdefault(identity, segment)


def _inherit(device: int, inode: int, descriptor: Any) -> Segment:
    """In a child that was spawned."""
    identity = (device, inode)
    known = _known.get(identity)
    if known is not None:
        return known
    fd = descriptor.detach()
    try:
        return _adopt(identity, fd)
    finally:
        os.close(fd)


def _open(device: int, inode: int, pid: int, number: int) -> Segment:
    """In the receiver, while the sender still has it."""
    identity = (device, inode)
    known = _known.get(identity)
    if known is not None:
        return known
    try:
        fd = os.open(f"/proc/{pid}/fd/{number}", os.O_RDWR | os.O_CLOEXEC)
    except OSError as e:
        raise RuntimeError(f"the shared memory is gone: process {pid}, which sent it, has ended") from e
    try:
        return _adopt(identity, fd)
    finally:
        os.close(fd)


def _reduce_block(block: Block) -> tuple[type[Block], tuple[int, Segment, int]]:
    check(block)
    return Block, block._share()


copyreg.pickle(Segment, _reduce)
copyreg.pickle(Block, _reduce_block)
carry_with(carrying)
