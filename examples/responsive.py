"""Keep a user interface responsive: frames are drawn and keys answered while something long is computed.

    python examples/responsive.py [--size N] [--way WAY]

The "window" is a line of the terminal, drawn 50 times a second; a user presses a key every 0.1 s. What is long counts
the primes below N. It runs where the window is drawn, in a thread, and in a process, and a table tells for how long the
window stood still, and how long a key waited for its answer.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from collections.abc import Awaitable, Callable

import fenshen

FRAME = 0.02
SPINNER = "-\\|/"


def count_primes(below: int) -> int:
    """How many primes there are below a number: the sieve of Eratosthenes, in pure Python so that it takes its time."""
    sieve = [True] * below
    count = 0
    for n in range(2, below):
        if sieve[n]:
            count += 1
            for multiple in range(n * n, below, n):
                sieve[multiple] = False
    return count


async def in_the_window(below: int) -> int:
    """Where the window is drawn: nothing else happens meanwhile."""
    return count_primes(below)


async def in_a_thread(below: int) -> int:
    """In another thread: both take turns with the interpreter's lock."""
    return await asyncio.to_thread(count_primes, below)


async def in_a_process(below: int) -> int:
    """In another process, which has an interpreter of its own."""
    return await fenshen.to_process(count_primes, below)


WAYS: dict[str, Callable[[int], Awaitable[int]]] = {
    "window": in_the_window,
    "thread": in_a_thread,
    "process": in_a_process,
}


class Window:
    """Something that is drawn, and that answers keys."""

    def __init__(self, title: str) -> None:
        self.title, self.frames, self.stood = title, 0, 0.0
        self.keys: asyncio.Queue[float] = asyncio.Queue()
        self.waits: list[float] = []
        self.visible = sys.stderr.isatty()

    async def draw(self) -> None:
        """A frame each `FRAME` seconds; `stood` is the longest pause between two."""
        last = time.perf_counter()
        while True:
            await asyncio.sleep(FRAME)
            now = time.perf_counter()
            self.stood, last = max(self.stood, now - last), now
            self.frames += 1
            if self.visible:
                print(f"\r{self.title:8} {SPINNER[self.frames % 4]} ", end="", file=sys.stderr, flush=True)

    async def answer(self) -> None:
        """Each key as soon as it is seen."""
        while True:
            pressed = await self.keys.get()
            self.waits.append(time.perf_counter() - pressed)

    async def press(self) -> None:
        """The user, who does not wait for us: a key was pressed at its time, whenever we come to see it."""
        due = time.perf_counter()
        while True:
            due += 0.1
            await asyncio.sleep(due - time.perf_counter())
            self.keys.put_nowait(due)


async def show(name: str, below: int) -> tuple[int, Window, float]:
    """Compute in one of the ways, with a window open: the result, the window, and the seconds it took."""
    window = Window(name)
    open_for = [asyncio.create_task(part()) for part in (window.draw, window.answer, window.press)]
    await asyncio.sleep(FRAME)
    began = time.perf_counter()
    result = await WAYS[name](below)
    took = time.perf_counter() - began
    await asyncio.sleep(2 * FRAME)  # what has waited meanwhile is seen now
    for task in open_for:
        task.cancel()
    await asyncio.gather(*open_for, return_exceptions=True)
    return result, window, took


def main() -> None:
    """The command line."""
    options = argparse.ArgumentParser(description="Keep a user interface responsive.")
    options.add_argument("--size", type=int, default=3_000_000, help="count the primes below this (default: 3,000,000)")
    options.add_argument("--way", choices=WAYS, help="(default: each in turn)")
    chosen = options.parse_args()

    async def every() -> None:
        await fenshen.to_process(count_primes, 2)  # so that a worker is there
        print(f"{'computed in the':18}{'seconds':>9}{'frames':>8}{'stood still':>14}{'a key waited':>15}")
        for name in [chosen.way] if chosen.way else WAYS:
            result, window, took = await show(name, chosen.size)
            end = "\r\x1b[K" if window.visible else ""
            print(end, end="", file=sys.stderr, flush=True)
            waited = max(window.waits, default=0.0)
            print(
                f"{name:18}{took:9.2f}{window.frames:8}{window.stood * 1e3:11.0f} ms{waited * 1e3:12.0f} ms", flush=True
            )
        print(f"There are {result:,} primes below {chosen.size:,}.")

    fenshen.run(every())


if __name__ == "__main__":
    main()
