"""How much memory a process and its descendants take together, at most."""

from __future__ import annotations

import os
import threading


def family(pid: int) -> list[int]:
    """A process and its descendants."""
    found, left = [], [pid]
    while left:
        found.append(left.pop())
        try:
            for task in os.listdir(f"/proc/{found[-1]}/task"):
                with open(f"/proc/{found[-1]}/task/{task}/children") as children:
                    left += map(int, children.read().split())
        except OSError:
            continue
    return found


def proportional_set(pid: int) -> int:
    """The bytes that a process holds, each shared page divided by the number of those that share it (PSS)."""
    try:
        with open(f"/proc/{pid}/smaps_rollup") as file:
            return sum(int(line.split()[1]) * 1024 for line in file if line.startswith("Pss:"))
    except OSError:
        return 0


class PeakMemory:
    """The largest sum of a process's family's PSS that was seen, one look each `every` seconds, in bytes."""

    def __init__(self, pid: int, every: float = 0.05) -> None:
        self.peak = 0
        self._pid, self._every = pid, every
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, name="memory")

    def __enter__(self) -> PeakMemory:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        while True:
            self.peak = max(self.peak, sum(map(proportional_set, family(self._pid))))
            if self._over.wait(self._every):
                return
