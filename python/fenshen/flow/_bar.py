"""A bar on a terminal, drawn by tqdm."""

from __future__ import annotations

import os
import shutil
import threading
from typing import Any

from tqdm import tqdm  # type: ignore[import-untyped,unused-ignore]

from fenshen.flow.progressing import Progress


class _Quiet(tqdm):  # type: ignore[type-arg,misc,unused-ignore]
    """A bar that starts no thread, and makes no lock between processes."""

    monitor_interval = 0


_Quiet.set_lock(threading.RLock())


class Bar:
    """A bar that stays when it is over."""

    interval = 0.1

    def __init__(self, name: str) -> None:
        self._name = name
        self._bar: Any = None

    def tell(self, progress: Progress) -> None:
        """Draw it."""
        if self._bar is None:
            colour = None if os.environ.get("NO_COLOR") else "green"
            columns, lines = shutil.get_terminal_size()  # where the terminal does not know, tqdm itself draws nothing
            self._bar = _Quiet(desc=self._name, total=progress.total, ncols=columns, nrows=lines, colour=colour)
        bar = self._bar
        bar.n = progress.done
        if progress.failed:
            bar.set_postfix(failed=progress.failed, refresh=False)
        bar.refresh()
        if progress.over:
            bar.close()
