"""trio's threads, whose loop is its own: to_thread, from_thread, its thread cache, a guest among blocking waits."""

from __future__ import annotations

import queue
import threading
import time

import trio
from engine import checked

SECONDS = 30


async def both_ways() -> None:
    limiter, found = trio.CapacityLimiter(3), []

    async def one(number: int) -> None:
        found.append(await trio.to_thread.run_sync(pow, number, 2, limiter=limiter))

    async with trio.open_nursery() as nursery:
        for number in range(50):
            nursery.start_soon(one, number)
    print(sum(found))

    def ask() -> list[object]:
        trio.from_thread.run(trio.sleep, 0.001)
        return [trio.from_thread.run_sync(trio.lowlevel.current_task) is not None, threading.current_thread().name[:4]]

    print(await trio.to_thread.run_sync(ask))
    gate = threading.Event()
    with trio.move_on_after(0.02) as scope:
        await trio.to_thread.run_sync(gate.wait, abandon_on_cancel=True)
    gate.set()
    print(scope.cancelled_caught)
    token, items = trio.lowlevel.current_trio_token(), queue.Queue()
    send, receive = trio.open_memory_channel(0)

    def produce() -> None:
        for number in iter(items.get, None):
            trio.from_thread.run(send.send, number, trio_token=token)
        trio.from_thread.run_sync(send.close, trio_token=token)

    thread = threading.Thread(target=produce)
    thread.start()
    for number in (*range(30), None):
        items.put(number)
    print(sum([number async for number in receive]))
    thread.join()


def in_threads() -> None:
    """A loop in each of several threads."""
    results: queue.Queue[int] = queue.Queue()

    async def work(number: int) -> int:
        await trio.sleep(0.005)
        return await trio.to_thread.run_sync(lambda: number * 2)

    threads = [threading.Thread(target=lambda n=n: results.put(trio.run(work, n))) for n in range(4)]
    for thread in threads:
        thread.start()
    print(sorted(results.get(timeout=SECONDS) for _ in threads))
    for thread in threads:
        thread.join()


def guest() -> None:
    """trio within a loop that is made of a queue, its waits for files in a thread."""
    calls: queue.Queue = queue.Queue()
    outcomes: list[object] = []

    async def work() -> str:
        await trio.sleep(0.01)
        return await trio.to_thread.run_sync(str.upper, "done")

    trio.lowlevel.start_guest_run(work, run_sync_soon_threadsafe=calls.put, done_callback=outcomes.append)
    deadline = time.monotonic() + SECONDS
    while not outcomes and time.monotonic() < deadline:
        calls.get(timeout=SECONDS)()
    print(outcomes[0].unwrap())


@checked
def main() -> None:
    trio.run(both_ways)
    in_threads()
    guest()


if __name__ == "__main__":
    main()
