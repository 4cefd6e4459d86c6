"""Where processes may have their queues, pipes, locks, values and managers from, and how these are measured."""

import importlib
import multiprocessing
import multiprocessing.managers
import multiprocessing.shared_memory

from . import family
from .measured import Measured, repeat
from .peers import Peer, Things
from .workloads import Workload

STANDARD = (multiprocessing, multiprocessing.shared_memory)
LOCKS = ("Lock", "RLock", "Semaphore", "BoundedSemaphore", "Event", "Condition", "Barrier")
PASSING = ("Queue", "JoinableQueue", "SimpleQueue", "Pipe", "Value", "Array", "Manager", "SharedMemory")


def standard() -> Things:
    return Things(*STANDARD)


def names() -> dict[str, object]:
    """What the standard library has under the names that ours have, before we are installed."""
    things = standard()
    return {name: getattr(things, name) for name in (*LOCKS, *PASSING)}


def ours() -> Things:
    """By import, and only what is of our own making: what we pass on from the standard library is not ours."""
    theirs = names()
    modules = [importlib.import_module(f"fenshen.multiprocessing{each}") for each in ("", ".shared_memory")]
    return Things(*modules, but_not=theirs)


def installed() -> Things:
    """Under the standard names, as `fenshen run` has it."""
    theirs = names()
    importlib.import_module("fenshen").install(processes=True)
    return Things(*STANDARD, but_not=theirs)


def program(workload: Workload, things: Things, seconds: float) -> Measured:
    """A program whose processes are there from the beginning, again and again."""
    assert workload.program
    with workload.program(things) as body:

        def batch(operations: int = workload.batch) -> int:
            body(operations)
            return operations

        batch(max(min(1000, workload.batch), workload.batch // 5))
        return repeat(batch, seconds, family.cpu)


SHARED = {
    peer.name: peer
    for peer in (
        Peer("stdlib", "multiprocessing", standard),
        Peer("fenshen", "fenshen.multiprocessing", ours),
        Peer("fenshen (installed)", "fenshen.multiprocessing", installed),
    )
}
