"""What a `Manager` serves, asked by its own program; all on one core, where the asking is not the wait for a core."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import repeat
from typing import Any

from .. import Cell, Program, Target, Workload
from .crew import crew

TABLE = "Managers"
SHARED, SERVED = Target(20, "stdlib"), Target(3, "stdlib")


def value(operations: int, shared: Any) -> None:
    for number in range(operations):
        shared.value = number
        _ = shared.value


def lock(operations: int, shared: Any) -> None:
    for _ in repeat(None, operations):
        shared.acquire()
        shared.release()


def event(operations: int, shared: Any) -> None:
    for _ in repeat(None, operations):
        shared.set()
        shared.is_set()
        shared.clear()


def mapping(operations: int, shared: Any) -> None:
    for number in range(operations):
        shared["key"] = number
        shared["key"]


def sequence(operations: int, shared: Any) -> None:
    for number in range(operations):
        shared[0] = number
        shared[0]


def queue(operations: int, shared: Any) -> None:
    for number in range(operations):
        shared.put(number)
        shared.get()


def namespace(operations: int, shared: Any) -> None:
    for number in range(operations):
        shared.name = number
        _ = shared.name


def served(make: Callable[[Any], Any], body: Callable[[int, Any], None], clients: int = 0) -> Program:
    """Asked by the program, or by so many processes that it starts."""

    @contextmanager
    def program(things: Any) -> Iterator[Any]:
        with things.Manager() as manager:
            shared = make(manager)
            if not clients:
                yield lambda operations: body(operations, shared)
                return
            with crew(things, *repeat((body, (shared,)), clients)) as members:
                yield lambda operations: members.run(operations // clients)

    return program


def workload(name: str, row: str, target: Target | None, program: Program) -> Workload:
    title = f"Manager: {row}"
    return Workload(f"ipc_manager_{name}", title, 500, target, program, kind="ipc", cell=Cell(TABLE, row))


def a_dict(manager: Any) -> Any:
    return manager.dict(key=0)


def a_list(manager: Any) -> Any:
    return manager.list([0])


WORKLOADS = [
    workload("value", "Value, set + get", SHARED, served(lambda manager: manager.Value("i", 0), value)),
    workload("lock", "Lock, acquire + release", SHARED, served(lambda manager: manager.Lock(), lock)),
    workload("event", "Event, set + is_set + clear", SHARED, served(lambda manager: manager.Event(), event)),
    workload("dict", "dict, set + get", SERVED, served(a_dict, mapping)),
    workload("list", "list, set + get", SERVED, served(a_list, sequence)),
    workload("queue", "Queue, put + get", SERVED, served(lambda manager: manager.Queue(), queue)),
    workload("namespace", "Namespace, set + get", None, served(lambda manager: manager.Namespace(), namespace)),
    workload("lock_2", "Lock, 2 processes want it", None, served(lambda manager: manager.Lock(), lock, clients=2)),
    workload("dict_2", "dict, set + get by 2 processes", None, served(a_dict, mapping, clients=2)),
]
