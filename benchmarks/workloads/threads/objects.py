"""What an object weighs, and how fast it is made."""

from typing import Any

from .. import Cell, Program, Workload

NAMES = ("Lock", "RLock", "Semaphore", "Event", "Condition", "Queue", "SimpleQueue", "Future")
BYTES = "bytes"


def many(name: str) -> Program:
    """So many of them at a time."""

    def program(things: Any, operations: int) -> list[object]:
        make = getattr(things, name)
        return [make() for _ in range(operations)]

    return program


WORKLOADS = [
    Workload(
        f"threads_make_{name.lower()}",
        f"{name}(), made",
        20_000,
        None,
        many(name),
        kind="objects",
        unit="objects",
        cell=Cell("Objects, made and kept", f"{name}()"),
    )
    for name in NAMES
]
