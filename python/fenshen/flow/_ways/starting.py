"""`Starting`: worker processes that are started in a thread, since that takes longer than a loop may be held."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from typing import Any

from fenshen.flow._ways.awaiting import done
from fenshen.futures import Future


class Starting:
    """Makes a call in a thread of its own. What fails there fails again where the workers are first used."""

    def __init__(self, start: Callable[[], object]) -> None:
        self._started: Future[Any] = Future()
        self._thread = threading.Thread(target=self._run, args=(start,), name="fenshen-flow-start", daemon=True)
        self._thread.start()

    def _run(self, start: Callable[[], object]) -> None:
        try:
            with contextlib.suppress(BaseException):  # as said above
                start()
        finally:
            self._started.set_result(None)

    async def wait(self) -> None:
        """Wait until the call has ended."""
        if not self._started.done():
            await done(self._started)

    async def join(self) -> None:
        """Wait until the thread has ended."""
        await self.wait()
        self._thread.join()  # it has nothing more to do
