"""What every program here begins with: it finds the types under the standard names that it was meant to find."""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Callable

NAMES = {
    "threading": ("Event", "Condition", "Semaphore", "BoundedSemaphore", "Barrier"),
    "queue": ("Queue", "LifoQueue", "PriorityQueue", "SimpleQueue"),
    "concurrent.futures": ("Future", "ThreadPoolExecutor"),
    "multiprocessing.pool": ("ThreadPool",),
}


def engine() -> str:
    """Whose types the modules have that the program has imported: "fenshen", "stdlib", or which names are mixed."""
    mine, theirs = [], []
    for module in NAMES.keys() & sys.modules.keys():
        for name in NAMES[module]:
            home = getattr(sys.modules[module], name).__module__
            (mine if home.partition(".")[0] == "fenshen" else theirs).append(f"{module}.{name}")
    if not theirs:
        return "fenshen"
    return "stdlib" if not mine else f"fenshen but for {', '.join(theirs)}"


def checked(main: Callable[[], None]) -> Callable[[], None]:
    """Make `main` tell first whose types it runs on, or end if these are not the `EXPECTED_TYPES`."""

    @functools.wraps(main)
    def checked_main() -> None:
        found, expected = engine(), os.environ["EXPECTED_TYPES"]
        if found != expected:
            sys.exit(f"this program runs on the types of {found}, and not of {expected}")
        print("on", found, flush=True)
        main()

    return checked_main
