"""Long runs while workers are killed at random: whole under FENSHEN_SOAK=1, otherwise a hundredth of it."""

from __future__ import annotations

import collections
import contextlib
import os
import random
import signal
import threading
import time
import zlib
from typing import Any

from .. import tasks
from ..peers import Outcome, Pool
from ..places import SHM, listed
from ..table import Peer, row
from ..telling import began, wait_for

WHOLE = os.environ.get("FENSHEN_SOAK") == "1"
TASKS = 1_000_000 if WHOLE else 10_000
EVERY = 0.05  # seconds from kill to kill
BLOCK = 500  # tasks that are submitted before their results are looked at
MAY_GROW = 64 << 20  # bytes by which the program may be larger afterwards
DEATHS = ("WorkerDied", "ProcessExpired")
KEPT = "every promise kept"
LIMIT = 1800 if WHOLE else 120
PAYLOAD = bytes(range(256)) * 512


class Killer(threading.Thread):
    """Sends SIGKILL to one of a pool's workers, again and again."""

    def __init__(self, pool: Pool) -> None:
        super().__init__(daemon=True)
        self.pool = pool
        self.kills = 0
        self.stop = threading.Event()

    def run(self) -> None:
        while not self.stop.wait(EVERY):
            self.kills += kill_one(self.pool)

    def __enter__(self) -> Killer:
        self.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.stop.set()
        self.join()


def kill_one(pool: Pool) -> bool:
    """Kill a worker; False if it had just gone."""
    with contextlib.suppress(ProcessLookupError, RuntimeError, IndexError):
        os.kill(random.choice(pool.pids()), signal.SIGKILL)
        return True
    return False


def used() -> dict[str, Any]:
    """What the program holds of the machine: descriptors, bytes, names in /dev/shm."""
    with open("/proc/self/statm") as pages:
        size = int(pages.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return {"descriptors": len(os.listdir("/proc/self/fd")), "bytes": size, "names": listed(SHM)}


def grown(before: dict[str, Any]) -> str | None:
    """What the program holds more of than before, once that has settled."""

    def more() -> str | None:
        now = used()
        if now["descriptors"] > before["descriptors"]:
            return f"{now['descriptors'] - before['descriptors']} descriptors more"
        if now["names"] - before["names"]:
            return f"{len(now['names'] - before['names'])} names more in {SHM}"
        return (
            f"{(now['bytes'] - before['bytes']) >> 20} MB more" if now["bytes"] > before["bytes"] + MAY_GROW else None
        )

    with contextlib.suppress(RuntimeError):
        wait_for(lambda: more() is None, 10)
    return more()


def submit_one(pool: Pool, number: int) -> tuple[Any, Any]:
    """A task of the mixture, and the result it should have."""
    if number % 50 == 7:
        return pool.submit(zlib.crc32, PAYLOAD[number % 100 :]), zlib.crc32(PAYLOAD[number % 100 :])
    if number % 50 == 8:
        return pool.submit(tasks.zeros, 100_000 + number % 1000), bytes(100_000 + number % 1000)
    if number % 10 == 3:
        return pool.submit(tasks.pause, 0.001, number), number
    return pool.submit(tasks.square, number), number * number


class Tally:
    """What became of the tasks: deaths are counted, anything else but the right result is named."""

    def __init__(self) -> None:
        self.deaths = 0
        self.wrong: collections.Counter[str] = collections.Counter()

    def add(self, outcome: Outcome, expected: Any) -> None:
        if outcome.kind == "failed" and type(outcome.value).__name__ in DEATHS:
            self.deaths += 1
        elif outcome.kind != "done":
            self.wrong[f"{outcome.kind} {outcome.value!r}"[:100]] += 1
        elif outcome.value != expected:
            self.wrong["wrong result"] += 1

    def block(self, pool: Pool, begin: int, count: int) -> None:
        """Submit so many tasks and wait for them all."""
        pending = [submit_one(pool, number) for number in range(begin, begin + count)]
        until = time.monotonic() + 60
        for handle, expected in pending:
            self.add(pool.outcome(handle, until), expected)


def words(tally: Tally, deaths_allowed: int, before: dict[str, Any]) -> str:
    """The promises of a soak that were not kept."""
    broken = [f"{count} times {what}" for what, count in tally.wrong.most_common(3)]
    if tally.deaths > deaths_allowed:
        broken.append(f"{tally.deaths} tasks died, {deaths_allowed} may")
    return ", ".join([*broken, *filter(None, [None if broken else grown(before)])]) or KEPT


def soaked(pool: Pool, retried: bool = False) -> str:
    tally = Tally()
    tally.block(pool, 0, 2 * BLOCK)
    before = used()
    with Killer(pool) as killer:
        for begin in range(0, TASKS, BLOCK):
            tally.block(pool, begin, BLOCK)
        while killer.kills < 40:
            tally.block(pool, 0, BLOCK)
    time.sleep(0.2)  # a death is noticed at once, and is nobody's who comes later
    died = tally.deaths
    tally.block(pool, 0, 2 * BLOCK)
    if tally.deaths > died:
        tally.wrong["death after the last kill"] = tally.deaths - died
    print(f"{TASKS} tasks, {killer.kills} kills, {tally.deaths} died")
    return words(tally, 0 if retried else killer.kills, before)


@row("soak: a worker SIGKILLed every 50 ms, at random", KEPT, LIMIT, soak=True)
def soak_of_kills(peer: Peer) -> str:
    return soaked(began(peer()))


@row("soak: a worker SIGKILLed every 50 ms, at random, and tasks that may be retried", KEPT, LIMIT, soak=True)
def soak_of_retries(peer: Peer) -> str:
    pool = began(peer())
    pool.submit = pool.submit_retried  # type: ignore[method-assign]
    return soaked(pool, retried=True)


@row("soak: a worker SIGKILLed whenever all are between tasks", KEPT, LIMIT, soak=True)
def soak_between_tasks(peer: Peer) -> str:
    pool, tally = began(peer()), Tally()
    tally.block(pool, 0, BLOCK)
    before = used()
    for number in range(TASKS // 200):
        tally.block(pool, 20 * number, 20)
        kill_one(pool)
    tally.block(pool, 0, BLOCK)
    return words(tally, 0, before)
