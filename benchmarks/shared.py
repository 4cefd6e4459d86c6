"""Where processes may have their queues, pipes, locks, values and managers from, and how these are measured."""

import importlib

from . import family
from .measured import Measured, repeat
from .peers import Named, Peer, Things
from .workloads import Workload

HOMES = {
    "synchronize": ("Lock", "RLock", "Semaphore", "BoundedSemaphore", "Event", "Condition", "Barrier"),
    "connection": ("Pipe",),
    "sharedctypes": ("Value", "Array"),
    "managers": ("SyncManager",),
    "shared_memory": ("SharedMemory",),
}


QUEUES = ("Queue", "JoinableQueue", "SimpleQueue")


def made_by(package: str) -> dict[str, object]:
    """What a package makes its locks, queues and so on of."""
    homes = {home: importlib.import_module(f"{package}.{home}") for home in HOMES}
    made = {f"{home}.{name}": getattr(homes[home], name) for home, names in HOMES.items() for name in names}
    # The classes keep their names whoever serves, since others derive from them; what is made is ours or not.
    whole = importlib.import_module(package)
    return made | {name: type(getattr(whole, name)()) for name in QUEUES}


def things(package: str, theirs: dict[str, object] | None = None) -> Things:
    """The package's; none of what it makes them of may be one of `theirs`, that ours would pass on."""
    for name, kind in made_by(package).items():
        if theirs and kind is theirs[name]:
            raise NotImplementedError(f"{name} is the standard library's")
    homes = [importlib.import_module(each) for each in (package, f"{package}.shared_memory")]
    return Things(*homes, Named(CommonQueue=common if theirs else homes[0].Queue))


def common(maxsize: int = 0) -> object:
    """The queue that threads, tasks and processes share."""
    return importlib.import_module("fenshen").Queue(maxsize, shared=True)


def standard() -> Things:
    return things("multiprocessing")


def ours() -> Things:
    """By import."""
    return things("fenshen.multiprocessing", made_by("multiprocessing"))


def installed() -> Things:
    """Under the standard names, as `fenshen run` has it."""
    theirs = made_by("multiprocessing")
    importlib.import_module("fenshen").install(processes=True)
    return things("multiprocessing", theirs)


def program(workload: Workload, given: Things, seconds: float) -> Measured:
    """A program whose processes are there from the beginning, again and again."""
    assert workload.program
    with workload.program(given) as body:

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
