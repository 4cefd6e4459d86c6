"""culsans and aiologic beside ours: their queues and locks between threads and tasks, in one program with queue's."""

from __future__ import annotations

import asyncio
import queue
import threading
from concurrent.futures import ThreadPoolExecutor

import aiologic
import culsans
from engine import checked

SECONDS = 30


async def queues() -> None:
    for make in (culsans.Queue, culsans.LifoQueue, culsans.PriorityQueue):
        items: culsans.Queue[int] = make(4)
        plain: queue.Queue[int] = queue.Queue(4)

        def work(items: culsans.Queue[int] = items, plain: queue.Queue[int] = plain) -> None:
            for _ in range(200):
                plain.put(items.sync_q.get(timeout=SECONDS))
                items.sync_q.task_done()

        def drain(plain: queue.Queue[int] = plain) -> int:
            return sum(plain.get(timeout=SECONDS) for _ in range(200))

        worker = threading.Thread(target=work)
        worker.start()
        drained = asyncio.ensure_future(asyncio.to_thread(drain))
        for number in range(200):
            await items.async_q.put(number)
        await items.async_q.join()
        print(make.__name__, await drained, items.async_q.empty(), items.sync_q.unfinished_tasks)
        await asyncio.to_thread(worker.join)
        items.shutdown()
    try:
        items.sync_q.get()
    except culsans.QueueShutDown as e:
        print(type(e).__name__)


async def locks() -> None:
    """aiologic's, taken by threads and tasks in turn, around what plain locks guard too."""
    lock, plain, total = aiologic.Lock(), threading.Lock(), 0
    event, places = aiologic.Event(), aiologic.Semaphore(2)

    async def by_task() -> None:
        nonlocal total
        for _ in range(50):
            async with lock:
                before = total
                await asyncio.sleep(0)
                total = before + 1

    def by_thread() -> None:
        nonlocal total
        for _ in range(50):
            with lock, plain:
                total += 1

    with ThreadPoolExecutor(4) as pool:
        loop = asyncio.get_running_loop()
        threads = [loop.run_in_executor(pool, by_thread) for _ in range(4)]
        await asyncio.gather(*threads, *(by_task() for _ in range(4)))
        print(total)
        waiting = [loop.run_in_executor(pool, event.wait) for _ in range(2)]
        task = asyncio.ensure_future(asyncio.wait_for(event, SECONDS))
        await asyncio.sleep(0.01)
        event.set()
        print(await asyncio.gather(*waiting, task))
        async with places:
            print(await loop.run_in_executor(pool, places.green_acquire), places.value)


@checked
def main() -> None:
    asyncio.run(queues())
    asyncio.run(locks())


if __name__ == "__main__":
    main()
