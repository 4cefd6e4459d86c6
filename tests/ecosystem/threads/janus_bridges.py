"""janus beside ours: queues with a side for threads and one for tasks."""

from __future__ import annotations

import asyncio
import queue
import threading

import janus
from engine import checked

SECONDS = 30


async def both_ways() -> None:
    loop = asyncio.get_running_loop()
    for make in (janus.Queue, janus.LifoQueue, janus.PriorityQueue):
        items: janus.Queue[int] = make(maxsize=5)
        out: queue.Queue[int] = queue.Queue()

        def produce(items: janus.Queue[int] = items) -> None:
            for number in range(300):
                items.sync_q.put(number, timeout=SECONDS)
            items.sync_q.join()

        producer = loop.run_in_executor(None, produce)
        found = []
        for _ in range(300):
            found.append(await items.async_q.get())
            items.async_q.task_done()
        await producer

        def consume(items: janus.Queue[int] = items, out: queue.Queue[int] = out) -> None:
            for _ in range(300):
                out.put(items.sync_q.get(timeout=SECONDS))
                items.sync_q.task_done()

        thread = threading.Thread(target=consume)
        thread.start()
        for number in range(300):
            await items.async_q.put(number)
        await items.async_q.join()
        await asyncio.to_thread(thread.join)
        print(make.__name__, sum(found), sum(out.get() for _ in range(300)), found == list(range(300)) or "reordered")
        await items.aclose()


async def refused() -> None:
    items: janus.Queue[int] = janus.Queue(1)
    items.sync_q.put(1)
    for call in (lambda: items.sync_q.put_nowait(2), lambda: items.async_q.put_nowait(2)):
        try:
            call()
        except (queue.Full, asyncio.QueueFull) as e:
            print(type(e).__name__, isinstance(e, queue.Full), isinstance(e, asyncio.QueueFull))
    try:
        await asyncio.to_thread(items.sync_q.put, 2, timeout=0.02)
    except janus.SyncQueueFull as e:
        print(type(e).__name__, isinstance(e, queue.Full))
    print(await items.async_q.get())
    for call in (items.sync_q.get_nowait, items.async_q.get_nowait):
        try:
            call()
        except (queue.Empty, asyncio.QueueEmpty) as e:
            print(type(e).__name__)
    waiting = asyncio.ensure_future(asyncio.to_thread(items.sync_q.get))
    await asyncio.sleep(0.02)
    items.shutdown()
    (error,) = await asyncio.gather(waiting, return_exceptions=True)
    print(type(error).__name__, items.closed)
    await items.wait_closed()


@checked
def main() -> None:
    asyncio.run(both_ways())
    asyncio.run(refused())


if __name__ == "__main__":
    main()
