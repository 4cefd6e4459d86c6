"""Who serves requests that each wait and then work: `serve(n)` for each, on two processes where it can have several."""

import asyncio
import functools
from collections.abc import Callable, Coroutine
from typing import Any

from .pools import Contender
from .tasks_requests import parse, request, share_of_requests

PROCESSES = 2


class Served:
    """A loop in this process, and whatever helps it."""

    def __init__(self, make_loop: Callable[[], Any] = asyncio.new_event_loop) -> None:
        self.loop = make_loop()
        self.warm_up()

    def warm_up(self) -> None:
        self.serve(200)

    def serve(self, requests: int) -> None:
        """All of them at once."""
        found = self.loop.run_until_complete(self.all(requests))
        if len(found) != requests or not all(found):
            raise RuntimeError("requests got lost")

    async def all(self, requests: int) -> list[int]:
        return await asyncio.gather(*(self.one(number) for number in range(requests)))

    def one(self, number: int) -> Coroutine[Any, Any, int]:
        return request(number)

    def close(self) -> None:
        self.loop.close()


class Executor(Served):
    """It waits on its own loop, and parses in a pool of processes."""

    def __init__(self, kind: Any, *loop: Any) -> None:
        self.pool = kind(PROCESSES)
        super().__init__(*loop)

    async def one(self, number: int) -> int:
        await asyncio.sleep(0.005)
        return await self.loop.run_in_executor(self.pool, parse, number)

    def close(self) -> None:
        self.pool.shutdown()
        super().close()


class Aiomultiprocess(Served):
    """The same coroutine, by its pool."""

    def __init__(self) -> None:
        from aiomultiprocess import Pool

        self.pool: Any = None
        self.kind = functools.partial(Pool, processes=PROCESSES)
        super().__init__()

    async def all(self, requests: int) -> list[int]:
        if self.pool is None:
            self.pool = self.kind()
        found: list[int] = await self.pool.map(request, range(requests))
        return found

    def close(self) -> None:
        async def end() -> None:
            self.pool.close()
            await self.pool.join()

        self.loop.run_until_complete(end())
        super().close()


class ToProcess(Served):
    """The same coroutine, by `fenshen.to_process`."""

    def __init__(self) -> None:
        import fenshen

        self.to_process = fenshen.to_process
        super().__init__(fenshen.new_event_loop)

    def one(self, number: int) -> Coroutine[Any, Any, int]:
        return self.to_process(request, number)


class RunProcesses(Served):
    """Half of them in each process, by `fenshen.run(main, processes=2)`, which are started for that."""

    def __init__(self) -> None:
        import fenshen

        self.run = fenshen.run
        super().__init__(fenshen.new_event_loop)

    def serve(self, requests: int) -> None:
        main = functools.partial(share_of_requests, requests // PROCESSES)
        if self.run(main, processes=PROCESSES) != [requests // PROCESSES] * PROCESSES:
            raise RuntimeError("requests got lost")


def standard_executor() -> Served:
    from concurrent.futures import ProcessPoolExecutor

    return Executor(ProcessPoolExecutor)


def our_executor() -> Served:
    import fenshen
    from fenshen.futures import ProcessPoolExecutor

    return Executor(ProcessPoolExecutor, fenshen.new_event_loop)


TOGETHER = {
    each.name: each
    for each in (
        Contender("stdlib asyncio", "asyncio", lambda: Served),
        Contender("stdlib executor", "concurrent.futures", lambda: standard_executor),
        Contender("aiomultiprocess", "aiomultiprocess", lambda: Aiomultiprocess),
        Contender("fenshen executor", "fenshen._process_executor", lambda: our_executor),
        Contender("fenshen", "fenshen._process_tasks", lambda: ToProcess),
        Contender("fenshen processes=2", "fenshen._run_processes", lambda: RunProcesses),
    )
}
