"""Blocks of `shared_memory`."""

from itertools import repeat
from typing import Any

from .. import Cell, Program, Workload
from .crew import alone

TABLE = "shared_memory"
SIZE = 1 << 20


def create(operations: int, things: Any) -> None:
    for _ in repeat(None, operations):
        block = things.SharedMemory(create=True, size=SIZE)
        block.buf[0] = 1
        block.close()
        block.unlink()


def attach(operations: int, things: Any) -> None:
    """One block, attached again and again."""
    block = things.SharedMemory(create=True, size=SIZE)
    block.buf[0] = 1
    for _ in repeat(None, operations):
        again = things.SharedMemory(block.name)
        assert again.buf[0] == 1
        again.close()
    block.close()
    block.unlink()


def workload(name: str, row: str, body: Any) -> Workload:
    program: Program = alone(lambda things: things, body)
    title, cell = f"{TABLE}: {row}", Cell(TABLE, row)
    return Workload(f"ipc_block_{name}", title, 500, None, program, kind="ipc", unit="blocks", cell=cell)


WORKLOADS = [
    workload("create", "1 MiB, create + touch + close + unlink", create),
    workload("attach", "1 MiB, attach + read + close", attach),
]
