"""`Cell`: the results of one item in one stage."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any

from fenshen.flow._bell import Bell


class Cell:
    """What a stage made of one item, until the next stage has taken it."""

    __slots__ = ("_room", "_tell", "error", "limit", "listed", "over", "results", "unwanted")

    def __init__(self, limit: int, bell: Bell, tell: Callable[[Cell], None]) -> None:
        self.results: deque[Any] = deque()
        self.limit = limit  # so many results of a generator wait at most
        self.unwanted = False  # nobody will take anything any more
        self.over = False  # nothing more comes of it
        self.error: BaseException | None = None
        self.listed = False  # it stands in its stage's line of cells
        self._room = bell
        self._tell = tell

    def set(self, result: Any) -> None:
        """The one result of a function."""
        self.results.append(result)

    async def put(self, result: Any) -> None:
        """One of the results of a generator; waits while too many were not taken.

        Raises CancelledError if nobody will take it: a call may have ended well though it was cancelled.
        """
        while len(self.results) >= self.limit and not self.unwanted:
            await self._room.wait()
        if self.unwanted:
            raise asyncio.CancelledError
        self.results.append(result)
        self._tell(self)

    def take(self) -> Any:
        """The oldest result."""
        result = self.results.popleft()
        self._room.ring()
        return result

    def finish(self, error: BaseException | None = None) -> None:
        """Nothing more comes, because of `error` if one is given."""
        self.over = True
        self.error = error
        self._tell(self)
