"""Where the items of a pipeline come from."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections import deque
from collections.abc import AsyncIterable, Iterable
from typing import Any

from fenshen.flow._end import End
from fenshen.flow._faults import note
from fenshen.flow._line import Upstream
from fenshen.flow._pull import Pull

# Going through one of these runs nobody's code and waits for nothing.
_AT_HAND = (list, tuple, range, str, bytes, dict, set, frozenset, deque)


def opened(source: Any, ahead: int) -> Upstream:
    """What gives the items of a source: an iterable or asynchronous iterable. Raises TypeError for anything else."""
    if type(source) in _AT_HAND:
        return AtHand(source)
    if isinstance(source, AsyncIterable):
        return Awaited(source)
    return Read(source, ahead)


class AtHand:
    """A collection in memory."""

    def __init__(self, source: Iterable[Any]) -> None:
        self._items = iter(source)
        self._stopped = False

    async def get(self) -> Any:
        """The next item."""
        if not self._stopped:
            for item in self._items:
                return item
        raise End

    def stop(self) -> None:
        """Give no more."""
        self._stopped = True

    async def join(self) -> None:
        """Nothing runs."""


class Awaited:
    """An asynchronous iterable, iterated on the pipeline's loop."""

    def __init__(self, source: AsyncIterable[Any]) -> None:
        self._items = aiter(source)

    async def get(self) -> Any:
        """The next item."""
        try:
            return await anext(self._items)
        except StopAsyncIteration:
            raise End from None
        except asyncio.CancelledError:
            raise
        except BaseException as error:
            note(error, "in the source of the pipeline")
            raise

    def stop(self) -> None:
        """Who waits in `get()` is cancelled, and nobody else runs."""

    async def join(self) -> None:
        """Close an asynchronous generator."""
        close = getattr(self._items, "aclose", None)
        if close is not None:
            await close()


class Read:
    """Any other iterable: a thread goes through it, in a copy of the present context."""

    def __init__(self, source: Iterable[Any], ahead: int) -> None:
        self._pull = Pull(lambda: source, ahead)
        run = contextvars.copy_context().run
        self._thread = threading.Thread(target=run, args=(self._pull.run,), name="fenshen-flow-source", daemon=True)
        self._thread.start()

    async def get(self) -> Any:
        """The next item."""
        try:
            return await self._pull.get()
        except (End, asyncio.CancelledError):
            raise
        except BaseException as error:
            note(error, "in the source of the pipeline")
            raise

    def stop(self) -> None:
        """Have the thread end."""
        self._pull.stop()

    async def join(self) -> None:
        """Wait until the thread has ended."""
        try:
            await self._pull.join()
        finally:
            self._thread.join()  # it has nothing more to do
