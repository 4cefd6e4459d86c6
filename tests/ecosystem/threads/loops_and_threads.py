"""asyncio beside threads: to_thread, executors, coroutines from threads, futures that cross, loops in threads."""

from __future__ import annotations

import asyncio
import contextvars
import queue
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor, wait

from engine import checked

SECONDS = 30
user: contextvars.ContextVar[str] = contextvars.ContextVar("user", default="nobody")


async def to_threads() -> None:
    user.set("ann")
    print(await asyncio.to_thread(user.get), await asyncio.gather(*(asyncio.to_thread(pow, n, 2) for n in range(20))))
    try:
        await asyncio.to_thread(int, "no number")
    except ValueError as e:
        print(e)
    loop = asyncio.get_running_loop()
    print((await loop.run_in_executor(None, threading.current_thread)).name.startswith("asyncio_"))
    with ThreadPoolExecutor(2, "own") as pool:
        names = await asyncio.gather(*(loop.run_in_executor(pool, threading.current_thread) for _ in range(20)))
        print({thread.name for thread in names} <= {"own_0", "own_1"})
        gate = threading.Event()
        blocked = [loop.run_in_executor(pool, gate.wait) for _ in range(2)]
        waiting = loop.run_in_executor(pool, print, "never")
        await asyncio.sleep(0.01)
        print(waiting.cancel(), blocked[0].cancel())
        await asyncio.sleep(0.01)  # the pool hears of it from a call-back
        gate.set()
        print(await blocked[1])
    loop.set_default_executor(ThreadPoolExecutor(1, "mine"))
    print((await asyncio.to_thread(threading.current_thread)).name)


async def from_threads() -> None:
    """Threads that ask the loop, and wait for its answer."""
    loop, lock, total = asyncio.get_running_loop(), asyncio.Lock(), 0

    async def add(number: int) -> int:
        nonlocal total
        async with lock:
            before = total
            await asyncio.sleep(0)
            total = before + number
        return number

    def ask(number: int) -> int:
        return asyncio.run_coroutine_threadsafe(add(number), loop).result(SECONDS)

    print(sum(await asyncio.gather(*(asyncio.to_thread(ask, number) for number in range(100)))), total)

    def give_up() -> str:
        job = asyncio.run_coroutine_threadsafe(asyncio.sleep(1000), loop)
        try:
            job.result(0.02)
        except TimeoutError:
            return f"late, {job.cancel()}"
        return "in time"

    print(await asyncio.to_thread(give_up))


async def crossing() -> None:
    """Futures of one kind awaited or waited for as the other; queues between the two."""
    loop = asyncio.get_running_loop()
    theirs: Future[int] = Future()
    threading.Timer(0.01, theirs.set_result, (5,)).start()
    print(await asyncio.wrap_future(theirs))
    cancelled: Future[int] = Future()
    asyncio.wrap_future(cancelled).cancel()
    await asyncio.sleep(0)
    print(cancelled.cancelled())
    items: queue.Queue[int | None] = queue.Queue(2)
    answers: asyncio.Queue[int | None] = asyncio.Queue()

    def work() -> None:
        for number in iter(items.get, None):
            loop.call_soon_threadsafe(answers.put_nowait, number * 2)
        loop.call_soon_threadsafe(answers.put_nowait, None)

    worker = threading.Thread(target=work)
    worker.start()
    for number in range(50):
        await asyncio.to_thread(items.put, number)
    items.put(None)
    found = []
    while (answer := await answers.get()) is not None:
        found.append(answer)
    print(sum(found), found == sorted(found))
    worker.join()
    event, ready = asyncio.Event(), threading.Event()
    threading.Thread(target=lambda: ready.wait() and loop.call_soon_threadsafe(event.set)).start()
    ready.set()
    print(await asyncio.wait_for(event.wait(), SECONDS))


class Background:
    """A loop in a thread, as libraries for both worlds keep one."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        started = threading.Event()
        self.loop.call_soon(started.set)
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()
        started.wait()

    def run(self, coroutine: object) -> object:
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(SECONDS)  # type: ignore[arg-type]

    def close(self) -> None:
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(SECONDS)
        self.loop.close()


def in_background() -> None:
    background = Background()

    async def late(number: int) -> int:
        await asyncio.sleep(0.01)
        return number

    with ThreadPoolExecutor(8) as pool:
        began = time.monotonic()
        print(sum(pool.map(lambda number: background.run(late(number)), range(40))), time.monotonic() - began < 5)
    jobs = [asyncio.run_coroutine_threadsafe(late(number), background.loop) for number in range(10)]
    print(len(wait(jobs, SECONDS).done))
    background.close()
    with ThreadPoolExecutor(4) as pool:
        print(list(pool.map(lambda number: asyncio.run(late(number)), range(4))))


@checked
def main() -> None:
    for part in (to_threads, from_threads, crossing):
        asyncio.run(part())
    in_background()
    print([thread.name for thread in threading.enumerate()])


if __name__ == "__main__":
    main()
