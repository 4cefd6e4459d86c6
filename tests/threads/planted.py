"""Planted cycles, one after another in one process: `planted.py seed count`. Run under `fenshen run`.

Each has 1 to 8 participants, in every one of which somebody waits for a lock, a re-entrant lock or the end of a thread.
It is printed how many were found within a second, with the right participants.
"""

from __future__ import annotations

import random
import sys
import threading
import time

import fenshen


class Member:
    """A thread of a ring: it holds a lock of its own, and waits for its neighbour's, or for its neighbour's end."""

    def __init__(self, kind: str, ready: threading.Barrier) -> None:
        self.kind = kind
        self.lock = threading.RLock() if kind == "rlock" else threading.Lock()
        self.ready = ready
        self.thread = threading.Thread(target=self.run)
        self.neighbour = self
        self.error: fenshen.DeadlockError | None = None
        self.joins = False

    def run(self) -> None:
        with self.lock:
            self.ready.wait()
            try:
                if self.joins:
                    self.neighbour.thread.join()
                else:
                    self.neighbour.lock.acquire()
                    self.neighbour.lock.release()
            except fenshen.DeadlockError as error:
                self.error = error


def plant(chance: random.Random) -> tuple[set[str], list[fenshen.DeadlockError], float]:
    count = chance.randint(1, 8)
    ready = threading.Barrier(count)
    # Alone, a re-entrant lock is no obstacle, and nobody can wait for his own end.
    kinds = ["lock"] if count == 1 else chance.choice((["lock"], ["rlock"], ["lock", "rlock"]))
    members = [Member(chance.choice(kinds), ready) for _ in range(count)]
    for i, member in enumerate(members):
        member.neighbour = members[(i + 1) % count]
        member.joins = count > 1 and chance.random() < 0.2
    began = time.monotonic()
    for member in members:
        member.thread.start()
    for member in members:
        member.thread.join()
    names = {member.thread.name for member in members}
    return names, [member.error for member in members if member.error is not None], time.monotonic() - began


def main() -> None:
    seed, count = map(int, sys.argv[1:3])
    slowest = 0.0
    for i in range(count):
        names, errors, took = plant(random.Random(seed + i))
        slowest = max(slowest, took)
        if len(errors) != 1:
            sys.exit(f"cycle {seed + i}: {len(errors)} errors among {names}")
        found = {waiting.name for waiting in errors[0].cycle}
        if found != names:
            sys.exit(f"cycle {seed + i}: found {found}, planted {names}")
    print(count, f"{slowest:.3f}")


if __name__ == "__main__":
    main()
