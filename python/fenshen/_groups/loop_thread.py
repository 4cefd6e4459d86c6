"""The thread of a group that is entered with plain `with`: an event loop for its coroutines and its deadline."""

from __future__ import annotations

import asyncio
import contextlib
import threading

from fenshen.runners import Runner

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["LoopThread", "insist"]


def insist(wait: Callable[[], object]) -> list[BaseException]:
    """Wait to the end, whatever comes between (Ctrl-C, this thread's own cancellation); returns what came."""
    interruptions: list[BaseException] = []
    while True:
        try:
            wait()
            return interruptions
        except BaseException as e:
            interruptions.append(e)


class LoopThread:
    """A thread whose loop runs until `close()`."""

    def __init__(self, name: str) -> None:
        """Raises what starting a thread raises."""
        self._ready = threading.Event()
        self._over: asyncio.Future[None] | None = None
        self._error: BaseException | None = None
        self.loop: asyncio.AbstractEventLoop
        # A program that ends amid the block doesn't wait for it.
        self._thread = threading.Thread(target=self._main, name=name, daemon=True)
        self._thread.start()
        interruptions = insist(self._ready.wait)
        if interruptions and self._error is None:
            self.close()
            raise interruptions[0]
        if self._error is not None:
            raise self._error

    def _main(self) -> None:
        try:
            with Runner() as runner:
                runner.run(self._serve())
        except BaseException as e:
            self._error = e
        finally:
            self._ready.set()

    async def _serve(self) -> None:
        self.loop = asyncio.get_running_loop()
        self._over = self.loop.create_future()
        self._ready.set()
        await self._over

    def close(self) -> list[BaseException]:
        """Have the loop end, and wait for the thread. Tasks that are still there are cancelled, as by `asyncio.run`.

        Returns what interrupted the wait.
        """
        with contextlib.suppress(RuntimeError):  # closed, where a coroutine's KeyboardInterrupt or SystemExit ended it
            self.loop.call_soon_threadsafe(self._stop)
        return insist(self._thread.join)

    def _stop(self) -> None:
        if self._over is not None and not self._over.done():
            self._over.set_result(None)
