"""The tables: who is compared in each, with whom, and what its page says of how."""

from collections.abc import Mapping
from typing import NamedTuple, Protocol

from .loops import LOOPS
from .peers import PEERS
from .pools import POOLS
from .shared import SHARED
from .together import TOGETHER


class Contender(Protocol):
    """A loop, or a peer of the standard library's threads."""

    @property
    def name(self) -> str: ...

    def available(self) -> bool: ...

    def version(self) -> str: ...

    def package(self) -> str: ...


class Table(NamedTuple):
    """A family. Ratios are to `base`; what is slower than `reference` is listed; `colours` are light and dark."""

    name: str
    page: str
    title: str
    contenders: Mapping[str, Contender]
    base: str
    reference: str
    ours: tuple[str, ...]
    colours: Mapping[str, tuple[str, str]]
    how: tuple[str, ...]


OURS = ("fenshen (installed)", "fenshen")
OUR_COLOURS = {"fenshen": ("#b08ad9", "#8f6cc0"), "fenshen (installed)": ("#7a3fc4", "#c49bff")}

TABLES = {
    "loops": Table(
        name="loops",
        page="benchmarks-loops",
        title="Benchmarks of loops",
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
            "{rounds}; in each, every loop in turn, each measurement in a fresh process pinned to one core, "
            "for {seconds:g} s. Rates are medians. A ratio is the median of the rounds' own ratios, with the least "
            'and the greatest behind it. "installed" is what `fenshen run` gives a program: the loop and the '
            'primitives; plain "fenshen" is the loop alone, by `loop_factory`. Each loop runs the same program text.',
            "",
            "A server has its core to itself; the load comes from a program in Rust on another core, the same for all, "
            "that keeps one message on its way on each connection. The CPU is the server process's own, by its clock. "
            "The floor is the same load on a server that is nothing but epoll (`benchmarks/floor`; for TLS, OpenSSL on "
            "it).",
        ),
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
            "{rounds}; in each, everybody in turn, each measurement in a fresh process for {seconds:g} s. "
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
    ),
    "processes": Table(
        name="processes",
        page="benchmarks-processes",
        title="Benchmarks of process pools",
        contenders=POOLS,
        base="stdlib fork",
        reference="stdlib fork",
        ours=(*OURS, "fenshen Pool"),
        colours={
            "stdlib fork": ("#8a8f98", "#9aa0aa"),
            "stdlib forkserver": ("#6b7078", "#b9bfc9"),
            "stdlib spawn": ("#4c5058", "#d5d9e0"),
            "stdlib Pool": ("#3b7dd8", "#6aa5f2"),
            "loky": ("#c2711f", "#e69a4e"),
            "joblib": ("#8f5a1f", "#c98b4a"),
            "pebble": ("#2d8f6f", "#58c4a0"),
            "mpire": ("#8f8a2d", "#c4bf58"),
            "Ray": ("#1f8fc2", "#4ec3e6"),
            "Dask": ("#c23f5a", "#ef7b93"),
            **OUR_COLOURS,
            "fenshen forkserver": ("#9a6fb8", "#a888c9"),
            "fenshen spawn": ("#84609f", "#bfa3da"),
            "fenshen Pool": ("#5a2fa0", "#d8b8ff"),
        },
        how=(
            "{rounds}; in each, everybody in turn, each measurement in a fresh process for {seconds:g} s. "
            "Rates are medians. A ratio is the median of the rounds' own ratios, with the least and the greatest "
            'behind it. "stdlib fork" and the like are `concurrent.futures.ProcessPoolExecutor` with that start '
            'method, "stdlib Pool" is `multiprocessing.Pool` by fork. "fenshen" is ours by import (`from fenshen '
            'import futures`), "installed" is what `fenshen run` gives a program, "fenshen Pool" is '
            "`fenshen.multiprocessing.Pool`.",
            "",
            "Every pool has two workers, has run tasks before it is measured, and may use every core where the row "
            "does not say one. The CPU is that of all processes: the program, the workers, and whatever else the "
            "pool has started, each by its own clock. Joblib has no `submit`: one call of `Parallel` with one task "
            "in each batch stands for it. Chunks of Ray's and Dask's are tasks of so many items, as a program would "
            "write them.",
            "",
            "A new pool's first result is from the pool's making in a process that made none before, everything "
            "imported, and is measured once in each round; its memory is the PSS of its processes afterwards: of "
            "one worker, and of all that the pool has started together. Arrays change before each pass, and the "
            "worker must see that. The floor of CPU work is two processes that are nothing but their work, each on "
            "a core of its own. What did not end in a minute is listed as failed; what took more than 20 s, the start "
            "and the end of its pool included, is measured in one round.",
        ),
    ),
    "ipc": Table(
        name="ipc",
        page="benchmarks-ipc",
        title="Benchmarks of what processes share",
        contenders=SHARED,
        base="stdlib",
        reference="stdlib",
        ours=OURS,
        colours={"stdlib": ("#8a8f98", "#9aa0aa"), **OUR_COLOURS},
        how=(
            "{rounds}; in each, everybody in turn, each measurement in a fresh process for {seconds:g} s. "
            "Rates are medians. A ratio is the median of the rounds' own ratios, with the least and the greatest "
            'behind it. "fenshen" is ours by import (`from fenshen import multiprocessing`); "installed" is what '
            "`fenshen run` gives a program. Everybody runs the same program text.",
            "",
            "What stays in one process, and processes that do nothing but wake each other, a manager and its client "
            "too, are pinned to one core: a wake-up on another core costs many times as much, whoever makes it. "
            "Queues, one-way pipes and contended rows have every core. The processes are there before the clock "
            "starts. The CPU is that of all processes together, each by its own clock.",
        ),
    ),
    "together": Table(
        name="together",
        page="benchmarks-together",
        title="Benchmarks of programs that wait and work",
        contenders=TOGETHER,
        base="stdlib asyncio",
        reference="stdlib asyncio",
        ours=("fenshen",),
        colours={
            "stdlib asyncio": ("#8a8f98", "#9aa0aa"),
            "stdlib executor": ("#3b7dd8", "#6aa5f2"),
            "aiomultiprocess": ("#c2711f", "#e69a4e"),
            "fenshen executor": ("#b08ad9", "#8f6cc0"),
            "fenshen": ("#7a3fc4", "#c49bff"),
            "fenshen processes=2": ("#5a2fa0", "#d8b8ff"),
        },
        how=(
            "{rounds}; in each, everybody in turn, each measurement in a fresh process for {seconds:g} s, and "
            "at least one pass. Rates are medians. A ratio is the median of the rounds' own ratios, with the least "
            "and the greatest behind it. The CPU is that of all processes together.",
            "",
            '"stdlib asyncio" is one process; "stdlib executor" waits there and parses in a `ProcessPoolExecutor` of '
            'two workers, "fenshen executor" the same with ours; "aiomultiprocess" and "fenshen" (`to_process`) '
            'run the whole coroutine in two worker processes that have run some before; "fenshen processes=2" is '
            "`fenshen.run(main, processes=2)`, the start of its processes included.",
        ),
    ),
}
