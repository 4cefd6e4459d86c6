"""Processes that do their part of a program each time they are told to."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing import Pipe  # the standard library's, whoever is measured
from multiprocessing.connection import Connection
from typing import Any

from .. import Program

Body = Callable[..., object]


def serve(orders: Connection, body: Body, arguments: tuple[Any, ...]) -> None:
    """Runs the body with each number that comes, until there is a 0; what it raises is sent back."""
    while operations := orders.recv():
        try:
            body(operations, *arguments)
        except BaseException as error:
            orders.send(error)
            raise
        orders.send(None)


class Crew:
    """Processes, each with its body and what that takes."""

    def __init__(self, things: Any, members: list[tuple[Body, tuple[Any, ...]]]) -> None:
        self.processes, self.orders = [], []
        for body, arguments in members:
            orders, theirs = Pipe()
            process = things.Process(target=serve, args=(theirs, body, arguments), daemon=True)
            process.start()
            theirs.close()
            self.processes.append(process)
            self.orders.append(orders)

    def begin(self, operations: int) -> None:
        for orders in self.orders:
            orders.send(operations)

    def end(self) -> None:
        """Waits for all of them; what one raised is raised here."""
        for orders in self.orders:
            if failure := orders.recv():
                raise failure

    def run(self, operations: int) -> None:
        """Each does so many operations."""
        self.begin(operations)
        self.end()

    def dismiss(self) -> None:
        for orders in self.orders:
            orders.send(0)
        for process in self.processes:
            process.join()


@contextmanager
def crew(things: Any, *members: tuple[Body, tuple[Any, ...]]) -> Iterator[Crew]:
    """They end with the block; when it fails, as daemons do, with this process."""
    found = Crew(things, list(members))
    yield found
    found.dismiss()


def alone(make: Callable[[Any], Any], body: Body) -> Program:
    """One process: `body(operations, what was made)`."""

    @contextmanager
    def program(things: Any) -> Iterator[Callable[[int], object]]:
        made = make(things)
        yield lambda operations: body(operations, made)

    return program


def several(make: Callable[[Any], tuple[Any, ...]], *bodies: Body) -> Program:
    """A process for each body, `body(operations, *what was made)`, all at once; operations are shared out evenly."""

    @contextmanager
    def program(things: Any) -> Iterator[Callable[[int], object]]:
        made = make(things)
        with crew(things, *[(body, made) for body in bodies]) as members:
            yield lambda operations: members.run(operations // len(bodies))

    return program


def facing(make: Callable[[Any], tuple[Any, ...]], *bodies: Body) -> Program:
    """A process for each body, of which each does all operations: two that face each other."""

    @contextmanager
    def program(things: Any) -> Iterator[Callable[[int], object]]:
        made = make(things)
        with crew(things, *[(body, made) for body in bodies]) as members:
            yield members.run

    return program
