"""`Line`: a stage at work."""

from __future__ import annotations

import asyncio
import itertools
from collections import deque
from typing import Any, Protocol

from fenshen.flow._bell import Bell
from fenshen.flow._cell import Cell
from fenshen.flow._end import End
from fenshen.flow._faults import blame
from fenshen.flow._ways import Way


class Upstream(Protocol):
    """What items come from: the source or the stage before."""

    async def get(self) -> Any:
        """The next item. Raises End, or what went wrong."""

    def stop(self) -> None:
        """Nobody asks any more: end what runs."""

    async def join(self) -> None:
        """Wait until it has ended."""


class Line:
    """Takes items, has them worked on, and keeps what comes of them until it is asked for.

    An item counts from when it is taken until its last result is: there are never more than the workers and the buffer
    together. Items stand in a line of cells, by their order if that is kept, and else from when they have results.
    Everything here happens on one loop's thread.
    """

    def __init__(self, name: str, way: Way, upstream: Upstream, *, ordered: bool, buffer: int) -> None:
        loop = asyncio.get_running_loop()
        self.name = name
        self.way = way
        self.running = 0  # calls
        self.done = 0  # items that are over, well or badly
        self._upstream = upstream
        self._ordered = ordered
        self._buffer = buffer
        self._items = 0  # not all of whose results were taken
        self._cells: deque[Cell] = deque()
        self._room = Bell(loop)
        self._news = Bell(loop)
        self._fault: BaseException | None = None
        self._failed = False
        self._stopped = False
        self._drained = False
        self._calls: dict[asyncio.Task[None], Cell] = {}
        self._taking = loop.create_task(self._take())

    # -- Taking items -------------------------------------------------------------------------------------------------

    async def _take(self) -> None:
        try:
            while not self._failed:
                if self.running >= self.way.limit or self._items >= self.way.limit + self._buffer:
                    await self._room.wait()
                    continue
                self._begin(await self._upstream.get())
        except End:
            pass
        except asyncio.CancelledError as error:
            if not self._stopped and not self._failed:
                self._pass_on(error)
        except BaseException as error:
            self._pass_on(error)
        finally:
            self._drained = True
            self._news.ring()

    def _begin(self, item: Any) -> None:
        self._items += 1
        self.running += 1
        cell = Cell(max(1, self._buffer), Bell(self._news.loop), self._told)
        if self._ordered:
            self._list(cell)
        call = self._news.loop.create_task(self._one(item, cell))
        self._calls[call] = cell
        call.add_done_callback(self._calls.pop)

    def _pass_on(self, error: BaseException) -> None:
        """What went wrong before this stage comes out of it behind the results of all earlier items."""
        self._items += 1
        cell = Cell(1, self._news, self._told)
        self._list(cell)
        cell.finish(error)

    # -- One item -----------------------------------------------------------------------------------------------------

    async def _one(self, item: Any, cell: Cell) -> None:
        error: BaseException | None = None
        try:
            if self.way.many:
                await self.way.each(item, cell.put)
            else:
                cell.set(await self.way.call(item))
        except asyncio.CancelledError as cancelled:
            if self._stopped or self._failed:
                error = cancelled
                raise
            error = self._fail(cancelled, item, cell)
        except BaseException as raised:
            error = self._fail(raised, item, cell)
        finally:
            self.running -= 1
            self.done += 1
            self._room.ring()
            cell.finish(error)
            del error

    def _fail(self, error: BaseException, item: Any, cell: Cell) -> BaseException:
        """No item is taken any more, and what is done here for later items, or before, is of no use."""
        blame(error, self.name, item)
        self._failed = True
        self._taking.cancel()
        self._upstream.stop()
        earlier = set(itertools.takewhile(lambda other: other is not cell, self._cells)) if self._ordered else ()
        for call, other in list(self._calls.items()):
            if other is not cell and other not in earlier:
                _forgo(call, other)
        return error

    # -- Giving results -----------------------------------------------------------------------------------------------

    def _list(self, cell: Cell) -> None:
        cell.listed = True
        self._cells.append(cell)

    def _told(self, cell: Cell) -> None:
        if not cell.listed:
            self._list(cell)
        self._news.ring()

    async def get(self) -> Any:
        """The next result. Raises End after the last one, and what went wrong in its place."""
        while True:
            if self._fault is not None:
                raise self._fault
            if self._cells:
                cell = self._cells[0]
                if cell.results:
                    result = cell.take()
                    if cell.over and not cell.results and cell.error is None:
                        self._leave()
                    elif not self._ordered:
                        self._cells.rotate(-1)  # no generator keeps the others waiting
                    return result
                if cell.over:
                    self._leave()
                    if cell.error is not None:
                        raise cell.error
                    continue
                if not self._ordered:
                    self._cells.popleft().listed = False
                    continue
            elif self._drained and not self._items:
                raise End
            await self._news.wait()

    def _leave(self) -> None:
        """All results of the first cell were taken."""
        self._cells.popleft()
        self._items -= 1
        self._room.ring()

    def fail(self, error: BaseException) -> None:
        """Have the next `get()` raise this, whatever waits before it."""
        self._fault = error
        self._news.ring()

    @property
    def waiting(self) -> int:
        """How many items have results that nobody has taken."""
        return self._items - self.running

    # -- The end ------------------------------------------------------------------------------------------------------

    def stop(self) -> None:
        """End what runs, here and before."""
        if not self._stopped:
            self._stopped = True
            self._taking.cancel()
            for call, cell in list(self._calls.items()):
                _forgo(call, cell)
            self._upstream.stop()

    async def join(self) -> None:
        """Wait until all of it has ended."""
        while self._calls or not self._taking.done():
            await asyncio.wait({self._taking, *self._calls})
        try:
            await self.way.close()
        finally:
            await self._upstream.join()


def _forgo(call: asyncio.Task[None], cell: Cell) -> None:
    cell.unwanted = True
    call.cancel()
