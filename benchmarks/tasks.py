"""What workers are given to do. Imports little, since workers that are spawned import it too."""

import os
import time
from typing import Any


def nothing(*anything: object) -> None:
    pass


def twice(number: int) -> int:
    return number + number


def pid(*anything: object) -> int:
    """Takes long enough that another worker has the next one."""
    time.sleep(0.02)
    return os.getpid()


def burn(steps: int) -> int:
    """Python that never waits."""
    found = 0
    for step in range(steps):
        found += step * step & 7
    return found


def first(array: Any) -> float:
    """Reads one number of an array."""
    return float(array[0])


def same(array: Any) -> Any:
    return array
