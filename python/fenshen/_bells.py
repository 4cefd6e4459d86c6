"""How an event loop, whosever it is, hears that one of its tasks was called in shared memory."""

from __future__ import annotations

import os
import weakref

from fenshen import _together

TYPE_CHECKING = False
if TYPE_CHECKING:
    import asyncio

# How often to look after those who died in line, which wakes nobody: in seconds.
_LOOK = 1.0


class Bell(_together.Bell):
    """The bell of one loop: the loop listens to it from a task's first wait until a look finds that nobody waits."""

    __slots__ = ("_listens", "_loop")

    def listen(self, loop: asyncio.AbstractEventLoop) -> None:
        """Have the loop, which runs in this thread, listen."""
        if not getattr(self, "_listens", False):
            self._loop = weakref.ref(loop)
            self._listens = True
            loop.add_reader(self.fileno(), self.ring)
            loop.call_later(_LOOK, self._look_around)

    def _look_around(self) -> None:
        loop = self._loop()
        if loop is None:
            return
        if self.look():
            loop.call_later(_LOOK, self._look_around)
        else:
            self._listens = False
            loop.remove_reader(self.fileno())


_bells: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, Bell] = weakref.WeakKeyDictionary()


def of(loop: asyncio.AbstractEventLoop) -> Bell:
    """The bell that `loop`, which runs in this thread, listens to."""
    bell = _bells.get(loop)
    if bell is None or bell.process != os.getpid():
        bell = _bells[loop] = Bell()
    bell.listen(loop)
    return bell
