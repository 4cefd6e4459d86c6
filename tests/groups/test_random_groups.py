"""Random trees of groups over all three kinds, with failures at random points: the laws that hold whatever comes.

All children end with their group; an async or process child that is cancelled ends within 100 ms, a thread at its next
checkpoint; every error is in the group; no process, thread or descriptor is left. Each tree follows from its seed.
"""

from __future__ import annotations

import asyncio
import os
import random
import threading
import time
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import fenshen
import pytest
from commands import needs_native
from fenshen import TaskGroup
from fenshen import threading as ours
from fenshen.futures import ProcessPoolExecutor

from groups import parts

pytestmark = needs_native

SOAK = os.environ.get("FENSHEN_SOAK") == "1"
COUNT = 1000 if SOAK else 10
#: Seconds from a cancellation to the end of all. A machine that has other things to do gets more.
LIMIT = 0.1 * (5 if os.environ.get("CI") or os.getloadavg()[0] > (os.cpu_count() or 1) else 1)
#: What part of the groups may take longer: a process that is in the kernel's hands, a thread that is not given a CPU.
SHARE = 0.01


class Planned(Exception):
    """A failure that was planned; its text is its number."""


class Tree:
    """A random group with others in it, and what became of its children."""

    def __init__(self, seed: int, processes: Any, folder: Path) -> None:
        self._random = random.Random(seed)
        self._processes = processes
        self._folder = folder
        self._lock = threading.Lock()
        self._count = 0
        self.living = 0
        self.raised: set[str] = set()
        self.stopped_at: float | None = None
        self.children: list[Any] = []

    # -- Children -----------------------------------------------------------------------------------------------------

    def _born(self) -> None:
        with self._lock:
            self.living += 1

    def _dead(self) -> None:
        with self._lock:
            self.living -= 1

    def _stop(self, after: float = 0.0) -> None:
        at = time.monotonic() + after
        self.stopped_at = at if self.stopped_at is None else min(self.stopped_at, at)

    def _fail(self) -> None:
        with self._lock:
            number = str(len(self.raised))
            self.raised.add(number)
        self._stop()
        raise Planned(number)

    async def _task(self, delay: float, fails: bool) -> None:
        self._born()
        try:
            await asyncio.sleep(delay if fails else parts.PATIENCE)
            self._fail()
        finally:
            self._dead()

    def _thread(self, delay: float, fails: bool, waits: bool) -> None:
        self._born()
        try:
            if fails:
                ours.Event().wait(delay)
                self._fail()
            elif waits:
                ours.Event().wait(parts.PATIENCE)
            else:
                parts.spin()
        finally:
            self._dead()

    async def _nested_async(self, plan: list[Any]) -> None:
        self._born()
        try:
            async with TaskGroup(process_pool=self._processes) as group:
                self._begin(group, plan)
        finally:
            self._dead()

    def _nested_plain(self, plan: list[Any]) -> None:
        self._born()
        try:
            with TaskGroup(process_pool=self._processes) as group:
                self._begin(group, plan)
        finally:
            self._dead()

    # -- The plan -----------------------------------------------------------------------------------------------------

    def plan(self, depth: int = 0) -> list[Any]:
        """Kinds of children, with when and whether they fail."""
        kinds = ["task", "task", "thread", "process"] + (["async group", "plain group"] if depth < 2 else [])
        rows: list[Any] = []
        for _ in range(self._random.randrange(1, 5 if depth == 0 else 3)):
            kind = self._random.choice(kinds)
            inner = self.plan(depth + 1) if kind.endswith("group") else None
            rows.append((kind, self._random.uniform(0, 0.02), self._random.random() < 0.2, inner))
        return rows

    def _begin(self, group: TaskGroup, plan: list[Any]) -> None:
        for kind, delay, fails, inner in plan:
            if kind == "task":
                child = group.create_task(self._task(delay, fails))
            elif kind == "thread":
                child = group.to_thread(self._thread, delay, fails, delay < 0.01)
            elif kind == "async group":
                child = group.create_task(self._nested_async(inner))
            elif kind == "plain group":
                child = group.to_thread(self._nested_plain, inner)
            elif fails:
                child = group.to_process(fail_later, delay)
            else:
                with self._lock:
                    self._count += 1
                    name = str(self._count)
                child = group.to_process(parts.sleep_for_ever, str(self._folder), name)
            self.children.append(child)

    def _make(self, how: str, delay: float) -> TaskGroup:
        timeout = delay if how == "deadline" else None
        if timeout is not None:
            self._stop(timeout)
        return TaskGroup(process_pool=self._processes, timeout=timeout)

    def _disturb(self, group: TaskGroup, how: str) -> None:
        if how == "cancel":
            self._stop()
            group.cancel("enough")
        elif how == "body":
            self._fail()

    def run(self) -> BaseException | None:
        """Run the group to its end; what it raised."""
        how = self._random.choice(["cancel", "deadline", "body"])
        delay, plan = self._random.uniform(0, 0.03), self.plan()
        try:
            if self._random.random() < 0.5:
                fenshen.run(self._run_async(how, delay, plan))
            else:
                self._run_plain(how, delay, plan)
        except (Exception, parts.BaseExceptionGroup) as e:
            return e
        return None

    async def _run_async(self, how: str, delay: float, plan: list[Any]) -> None:
        async with self._make(how, delay) as group:
            self._begin(group, plan)
            await asyncio.sleep(delay)
            self._disturb(group, how)
            await asyncio.sleep(parts.PATIENCE)

    def _run_plain(self, how: str, delay: float, plan: list[Any]) -> None:
        with self._make(how, delay) as group:
            self._begin(group, plan)
            ours.Event().wait(delay)
            self._disturb(group, how)
            ours.Event().wait(parts.PATIENCE)


def fail_later(delay: float) -> None:
    """In another process."""
    time.sleep(delay)
    raise Planned("in a process")


def descriptors() -> int:
    """How many this process has open."""
    return len(os.listdir("/proc/self/fd"))


def children() -> set[int]:
    """The processes that this one has, ended ones that nobody has waited for included."""
    found = set()
    for task in os.listdir("/proc/self/task"):
        try:
            found.update(map(int, Path(f"/proc/self/task/{task}/children").read_text().split()))
        except OSError:
            continue
    return found


def planned(error: BaseException | None) -> set[str]:
    """The numbers of the failures that a group tells of; whatever else it holds must be the end of its time."""
    told = set()
    for leaf in parts.leaves(error):
        if isinstance(leaf, Planned):
            told.add(str(leaf))
        else:
            assert type(leaf) is TimeoutError
    return told


def test_random_groups(tmp_path: Path) -> None:
    first = int(os.environ.get("FENSHEN_SEED", "1"))
    took = []
    with ProcessPoolExecutor(2, mp_context=get_context("forkserver")) as processes:
        processes.submit(parts.double, 1).result()
        Tree(0, processes, tmp_path / "none").plan()
        parts.until(lambda: processes.stats()["idle"] >= 1)
        before = (threading.active_count(), descriptors())
        for seed in range(first, first + COUNT):
            folder = tmp_path / str(seed)
            folder.mkdir()
            tree = Tree(seed, processes, folder)
            error = tree.run()
            ended = time.monotonic()
            assert tree.living == 0, f"a child outlived its group (seed {seed})"
            assert tree.raised <= planned(error), f"an error was swallowed (seed {seed})"
            told = list(map(id, parts.leaves(error)))
            for child in tree.children:
                assert child.done(), f"{child} lives (seed {seed})"
                if not child.cancelled():
                    assert all(id(e) in told for e in parts.leaves(child.exception())), f"{child} (seed {seed})"
            pids = [int(path.read_text()) for path in folder.iterdir() if path.suffix != ".part"]
            parts.until(lambda pids=pids: not any(map(parts.is_alive, pids)))
            if tree.stopped_at is not None:
                took.append(ended - tree.stopped_at)
        parts.until(lambda: threading.active_count() <= before[0])
        parts.until(lambda: processes.stats()["workers"] <= 2 and descriptors() <= before[1] + 16)
    if SOAK:
        slow = [seconds for seconds in took if seconds > LIMIT]
        assert len(slow) <= SHARE * len(took), f"{len(slow)} of {len(took)} groups took up to {max(slow):.3f} s to end"


@pytest.mark.parametrize("plain", [False, True], ids=["async", "plain"])
def test_no_process_is_left(plain: bool) -> None:
    before = children()
    with ProcessPoolExecutor(2, mp_context=get_context("forkserver")) as processes:
        for _ in range(3):
            if plain:
                with TaskGroup(process_pool=processes) as group:
                    group.to_process(time.sleep, parts.PATIENCE)
                    group.cancel()
            else:
                parts.run(cancelled_at_once(processes))
    from multiprocessing import forkserver, resource_tracker

    own = {forkserver._forkserver._forkserver_pid, resource_tracker._resource_tracker._pid}
    parts.until(lambda: children() - own <= before)


async def cancelled_at_once(processes: Any) -> None:
    async with TaskGroup(process_pool=processes) as group:
        group.to_process(time.sleep, parts.PATIENCE)
        group.cancel()
