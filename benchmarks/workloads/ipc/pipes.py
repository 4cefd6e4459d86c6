"""Pipes: one way on all cores, back and forth on one."""

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import repeat
from typing import Any

from .. import Cell, Program, Target, Workload
from .crew import crew, facing

TABLE = "Pipes"
TWICE, LEVEL = Target(2, "stdlib"), Target(1, "stdlib")
SMALL, LARGE = 100, 100_000


def one_way(size: int, kind: str = "", duplex: bool = False) -> Program:
    """One process sends, one receives; `kind` is `_bytes` for what is not pickled."""

    def make(things: Any) -> tuple[Any, ...]:
        return (*things.Pipe(duplex), size, kind)

    return facing(make, send, receive)


def send(operations: int, _: Any, writer: Any, size: int, kind: str) -> None:
    item, pass_on = b"x" * size, getattr(writer, f"send{kind}")
    for _ in repeat(None, operations):
        pass_on(item)


def receive(operations: int, reader: Any, _: Any, size: int, kind: str) -> None:
    take = getattr(reader, f"recv{kind}")
    for _ in repeat(None, operations):
        item = take()
    assert len(item) == size


def echo(operations: int, end: Any) -> None:
    for _ in repeat(None, operations // 2):
        end.send(end.recv())


def ping_pong(size: int) -> Program:
    """Two processes send an item back and forth; an operation is one way."""

    @contextmanager
    def program(things: Any) -> Iterator[Any]:
        here, there = things.Pipe()
        item = b"x" * size
        with crew(things, (echo, (there,))) as members:

            def body(operations: int) -> None:
                members.begin(operations)
                for _ in repeat(None, operations // 2):
                    here.send(item)
                    here.recv()
                members.end()

            yield body

    return program


@contextmanager
def poll(things: Any) -> Iterator[Any]:
    """A pipe with nothing in it is asked."""
    reader, _writer = things.Pipe(False)

    def body(operations: int) -> None:
        for _ in repeat(None, operations):
            reader.poll()

    yield body


def workload(name: str, row: str, batch: int, target: Target | None, program: Program, core: bool = False) -> Workload:
    return Workload(
        f"ipc_pipe_{name}",
        row,
        batch,
        target,
        program,
        kind="ipc",
        unit="items",
        cell=Cell(TABLE, row),
        everywhere=not core,
    )


WORKLOADS = [
    workload("one_way", "Pipe(False), one way, 100 B", 20_000, TWICE, one_way(SMALL)),
    workload("duplex", "Pipe(), one way, 100 B", 20_000, TWICE, one_way(SMALL, duplex=True)),
    workload("one_way_bytes", "Pipe(False), send_bytes, 100 B", 20_000, None, one_way(SMALL, "_bytes")),
    workload("one_way_100k", "Pipe(False), one way, 100 KB", 1_000, None, one_way(LARGE)),
    workload("ping_pong", "Pipe(), back and forth, 100 B", 4_000, LEVEL, ping_pong(SMALL), core=True),
    workload("ping_pong_100k", "Pipe(), back and forth, 100 KB", 400, None, ping_pong(LARGE), core=True),
    workload("poll", "Pipe, poll() of an empty one", 10_000, None, poll, core=True),
]
