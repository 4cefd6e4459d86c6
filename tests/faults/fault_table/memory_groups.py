"""A memory cgroup with a limit, v1 or v2, where one can be made."""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path

ROOT = Path("/sys/fs/cgroup")


def forget(process: int) -> None:
    """Remove the group of a process that was killed in it."""
    for home in (ROOT / "memory", ROOT):
        with contextlib.suppress(OSError):
            (home / f"fenshen-faults-{process}").rmdir()


class MemoryGroup:
    """A group that this process enters; above `limit` bytes for it and its children the kernel kills.

    Raises OSError where no group can be made or entered.
    """

    def __init__(self, limit: int) -> None:
        first = (ROOT / "memory" / "memory.limit_in_bytes").exists()
        self.home = ROOT / "memory" if first else ROOT
        self.path = self.home / f"fenshen-faults-{os.getpid()}"
        if not first and "memory" not in (ROOT / "cgroup.subtree_control").read_text().split():
            raise OSError("the memory controller is not enabled for groups below the root")
        self.path.mkdir()
        try:
            (self.path / ("memory.limit_in_bytes" if first else "memory.max")).write_text(str(limit))
            (self.path / "cgroup.procs").write_text(str(os.getpid()))
        except OSError:
            self.path.rmdir()
            raise

    def leave(self) -> None:
        """Back to where the machine's processes are; the group goes, once the dead are out of it too."""
        until = time.monotonic() + 5
        while True:
            for process in (self.path / "cgroup.procs").read_text().split():
                with contextlib.suppress(OSError):  # it has just ended
                    (self.home / "cgroup.procs").write_text(process)
            try:
                return self.path.rmdir()
            except OSError:
                if time.monotonic() > until:
                    raise
                time.sleep(0.01)
