"""The tables: who is compared in each, with whom, and what its page says of how."""

from collections.abc import Mapping
from typing import NamedTuple, Protocol

from .loops import LOOPS
from .peers import PEERS


class Contender(Protocol):
    """A loop, or a peer of the standard library's threads."""

    @property
    def name(self) -> str: ...

    def available(self) -> bool: ...

    def version(self) -> str: ...

    def package(self) -> str: ...


class Table(NamedTuple):
    """One page. Ratios are to `base`; what is slower than `reference` is listed; `colours` are light and dark."""

    name: str
    page: str
    title: str
    contenders: Mapping[str, Contender]
    base: str
    reference: str
    ours: tuple[str, ...]
    colours: Mapping[str, tuple[str, str]]
    how: tuple[str, ...]
    see: str


OURS = ("fenshen (installed)", "fenshen")
OUR_COLOURS = {"fenshen": ("#b08ad9", "#8f6cc0"), "fenshen (installed)": ("#7a3fc4", "#c49bff")}

TABLES = {
    "loops": Table(
        name="loops",
        page="benchmarks",
        title="Benchmarks",
        contenders=LOOPS,
        base="uvloop",
        reference="asyncio",
        ours=OURS,
        colours={
            "asyncio": ("#8a8f98", "#9aa0aa"),
            "uvloop": ("#3b7dd8", "#6aa5f2"),
            "rloop": ("#c2711f", "#e69a4e"),
            **OUR_COLOURS,
        },
        how=(
            "{rounds} rounds; in each, every loop in turn, each measurement in a fresh process pinned to one core, "
            "for {seconds:g} s. Rates are medians. A ratio is the median of the rounds' own ratios, with the least "
            'and the greatest behind it. "installed" is what `fenshen run` gives a program: the loop and the '
            'primitives; plain "fenshen" is the loop alone, by `loop_factory`. Each loop runs the same program text.',
            "",
            "A server has its core to itself; the load comes from a program in Rust on another core, the same for all, "
            "that keeps one message on its way on each connection. The CPU is the server process's own, by its clock. "
            "The floor is the same load on a server that is nothing but epoll (`benchmarks/floor`; for TLS, OpenSSL on "
            "it).",
        ),
        see="Threads, their locks, queues and pools: [benchmarks-threads.md](benchmarks-threads.md).",
    ),
    "threads": Table(
        name="threads",
        page="benchmarks-threads",
        title="Benchmarks of threads",
        contenders=PEERS,
        base="stdlib",
        reference="stdlib",
        ours=OURS,
        colours={
            "stdlib": ("#8a8f98", "#9aa0aa"),
            "culsans": ("#3b7dd8", "#6aa5f2"),
            "aiologic": ("#c2711f", "#e69a4e"),
            "janus": ("#2d8f6f", "#58c4a0"),
            **OUR_COLOURS,
        },
        how=(
            "{rounds} rounds; in each, everybody in turn, each measurement in a fresh process for {seconds:g} s. "
            "Rates are medians. A ratio is the median of the rounds' own ratios, with the least and the greatest "
            'behind it. "fenshen" is ours by import (`from fenshen import threading`); "installed" is what '
            "`fenshen run` gives a program, deadlocks found and raised. Everybody runs the same program text; of "
            "culsans and janus it is the side for threads, of aiologic the methods for threads.",
            "",
            "What stays in one thread, and threads that do nothing but wake each other, are pinned to one core: a "
            "wake-up on another core costs many times as much, whoever makes it. Queues between threads, contended "
            "rows and pools with many tasks have every core. The CPU is the whole process's, by its clock.",
            "",
            "A timeout's lateness is from the call to its return, less the timeout; a busy thread is one that runs "
            "Python and never waits. Late and each call's column are medians.",
        ),
        see="Loops: [benchmarks.md](benchmarks.md).",
    ),
}
