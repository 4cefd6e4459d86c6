"""`python -m benchmarks.word_count`: words counted in a gigabyte of text, by everybody, in the same run.

The text is the sources of the standard library, again and again. Everybody splits it with `str.split`, and gets the
same pieces of the same file, whole lines of about `--piece` MiB, where it can be told so. Each count is compared with
that of one line of Python. Each measurement is a process of its own, from its first call to its result there: the start
of workers is in it, that of Ray's or Dask's cluster is not. `TABLE.how` says the rest.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import os
import pathlib
import sys
import sysconfig
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from . import family
from .measure import RESULTS, Plan, Sample, cause, run
from .pools import Contender
from .setting import here
from .tables import Table
from .workloads import Target, Workload

if TYPE_CHECKING:
    from .found import Run

WORKERS = 2
ROUNDS = 2
SLOW = 120.0  # seconds; who took longer is not measured again
LOOKS = 0.25  # seconds between two looks at the memory


def one_line(path: str, piece: int) -> dict[str, int]:
    return Counter(word for line in open(path) for word in line.split())


def pieces(path: str, piece: int) -> list[tuple[str, int, int]]:
    """Where pieces of whole lines begin and end."""
    size, places = os.path.getsize(path), [0]
    with open(path, "rb") as file:
        while places[-1] + piece < size:
            file.seek(places[-1] + piece)
            file.readline()
            places.append(file.tell())
    return [(path, start, stop) for start, stop in zip(places, [*places[1:], size], strict=True)]


def count(piece: tuple[str, int, int]) -> Counter[str]:
    path, start, stop = piece
    with open(path, "rb") as file:
        file.seek(start)
        return Counter(file.read(stop - start).decode().split())


def stdlib(path: str, piece: int) -> dict[str, int]:
    from concurrent.futures import ProcessPoolExecutor

    total: Counter[str] = Counter()
    with ProcessPoolExecutor(WORKERS) as pool:
        for found in pool.map(count, pieces(path, piece)):
            total.update(found)
    return total


def ray(path: str, piece: int) -> Callable[[], dict[str, int]]:
    import ray as it

    it.init(num_cpus=WORKERS, include_dashboard=False, log_to_driver=False, logging_level="error")
    remote = it.remote(count)

    def run() -> dict[str, int]:
        total: Counter[str] = Counter()
        pending = [remote.remote(each) for each in pieces(path, piece)]
        while pending:
            [done], pending = it.wait(pending)
            total.update(it.get(done))
        return total

    return run


def dask(path: str, piece: int) -> Callable[[], dict[str, int]]:
    from dask.bag import read_text
    from distributed import Client, LocalCluster

    cluster = LocalCluster(n_workers=WORKERS, threads_per_worker=1, dashboard_address=None, silence_logs=40)
    client = Client(cluster)

    def run() -> dict[str, int]:
        words = read_text(path, blocksize=piece).str.split().flatten()
        return dict(words.frequencies().compute())

    run.keep = client  # type: ignore[attr-defined]
    return run


def fenshen(path: str, piece: int) -> dict[str, int]:
    from fenshen.flow import files, map_reduce

    return map_reduce(files(path, split=piece), str.split, len, key=str, workers=WORKERS)


def counter_of(text: str) -> Counter[str]:
    return Counter(text.split())


def fenshen_counter(path: str, piece: int) -> dict[str, int]:
    from fenshen.flow import files, map_reduce

    return map_reduce(files(path, split=piece), counter_of, sum, workers=WORKERS)


def fenshen_limited(path: str, piece: int) -> dict[str, int]:
    from fenshen.flow import files, map_reduce

    return map_reduce(files(path, split=piece), str.split, len, key=str, workers=WORKERS, memory_limit=64 << 20)


#: What each is, and whether it is something to be made ready first.
FUNCTIONS: dict[str, tuple[Any, bool]] = {
    "stdlib pool": (stdlib, False),
    "Ray": (ray, True),
    "Dask": (dask, True),
    "fenshen map_reduce": (fenshen, False),
    "fenshen map_reduce, Counter": (fenshen_counter, False),
    "fenshen map_reduce, 64 MiB": (fenshen_limited, False),
    "one line of Python": (one_line, False),
}
MODULES = {"stdlib pool": "concurrent.futures", "Ray": "ray", "Dask": "distributed", "one line of Python": "sys"}

TABLE = Table(
    name="words",
    page="benchmarks-words",
    title="Benchmarks of counting words",
    contenders={name: Contender(name, MODULES.get(name, "fenshen"), lambda: None) for name in FUNCTIONS},  # type: ignore[arg-type, return-value]
    base="stdlib pool",
    reference="stdlib pool",
    ours=("fenshen map_reduce", "fenshen map_reduce, Counter", "fenshen map_reduce, 64 MiB"),
    colours={
        "stdlib pool": ("#8a8f98", "#9aa0aa"),
        "one line of Python": ("#6b7078", "#b9bfc9"),
        "Ray": ("#1f8fc2", "#4ec3e6"),
        "Dask": ("#c23f5a", "#ef7b93"),
        "fenshen map_reduce": ("#7a3fc4", "#c49bff"),
        "fenshen map_reduce, Counter": ("#5a2fa0", "#d8b8ff"),
        "fenshen map_reduce, 64 MiB": ("#b08ad9", "#8f6cc0"),
    },
    how=(
        "{rounds}; in each, everybody in turn, each measurement in a fresh process, from its first call to its result "
        "there: the start of workers is in it, that of Ray's or Dask's cluster is not. Who took more than "
        f"{SLOW:g} s is measured once. Everybody splits the text with `str.split` and gets the same pieces of the same "
        "file, whole lines, where it can be told so. Memory is the greatest sum of the PSS of the process and all that "
        "it has started; the CPU is that of all of them, too.",
        "",
        '"stdlib pool" is `ProcessPoolExecutor.map` of a function that makes a `Counter` of a piece, "Ray" are tasks '
        'of the same function, "Dask" is `bag.frequencies()`. "fenshen map_reduce" is given `str.split` and `len`; '
        '"Counter" a function that makes a `Counter` of a piece, and `sum`; "64 MiB" is the first with '
        "`memory_limit=` of so much.",
    ),
)
SECONDS, MEMORY = "seconds", "MiB at most"
WORKLOADS = {
    "words": Workload(
        "words",
        f"words counted, {WORKERS} workers",
        1,
        Target(1.5, "stdlib pool"),
        also=(Target(1, "Ray"), Target(1, "Dask")),
        kind="words",
        unit="MiB",
        everywhere=True,
    )
}


def digest(counts: dict[str, int]) -> str:
    """A short name of the counts: equal for equal ones."""
    whole = hashlib.sha256()
    for word in sorted(counts):
        whole.update(f"{word}\0{counts[word]}\n".encode("utf-8", "surrogatepass"))
    return whole.hexdigest()[:16]


def write_text(path: pathlib.Path, size: int) -> None:
    """The sources of the standard library, again and again, up to so many bytes."""
    folder = pathlib.Path(sysconfig.get_paths()["stdlib"])
    sources = [each for each in sorted(folder.rglob("*.py")) if "site-packages" not in each.parts]
    text = "\n".join(each.read_text("utf-8", "replace") for each in sources).encode()
    with open(path, "wb") as file:
        while file.tell() < size:
            file.write(text[: size - file.tell()].rpartition(b"\n")[0] + b"\n")


def cpu_of_all() -> float:
    """Seconds of CPU of this process, all below it, and all that these have waited for."""
    ticks = 0
    for process in [os.getpid(), *family.descendants()]:
        with contextlib.suppress(OSError):
            fields = pathlib.Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
            ticks += sum(map(int, fields[11:15]))
    return ticks / os.sysconf("SC_CLK_TCK")


def peak(stop: threading.Event) -> int:
    """The most bytes of this process and all below it, until told to stop."""
    most = 0
    while True:
        most = max(most, sum(map(family.memory, [os.getpid(), *family.descendants()])))
        if stop.wait(LOOKS):
            return most


def child(name: str, path: str, piece: int) -> None:
    """One measurement, printed."""
    family.adopt()
    function, prepared = FUNCTIONS[name]
    run = function(path, piece) if prepared else lambda: function(path, piece)
    stop, found = threading.Event(), []
    looks = threading.Thread(target=lambda: found.append(peak(stop)))
    looks.start()
    begun, cpu = time.perf_counter(), cpu_of_all()
    counts = run()
    seconds, cpu = time.perf_counter() - begun, cpu_of_all() - cpu
    stop.set()
    looks.join()
    measured = {"seconds": seconds, "cpu": cpu, "memory": found[0], "digest": digest(counts), "words": len(counts)}
    print(json.dumps(measured))


def taken(name: str, path: pathlib.Path, piece: int, limit: float) -> dict[str, Any] | str:
    """One measurement in a process of its own, or what went wrong."""
    words = [sys.executable, "-m", "benchmarks.word_count", "--child", name, str(path), "--piece", str(piece)]
    status, output, errors = run(words, limit)
    if status is None:
        return f"not within {limit:g} s"
    if status:
        return cause(errors) or f"exit status {status}"
    try:
        found: dict[str, Any] = json.loads(output.strip().rpartition("\n")[2])
    except ValueError:
        return f"it printed no measurement: {output.strip()[-100:]}"
    return found


def measure(names: list[str], rounds: int, mebibytes: int = 1024, piece: int = 4) -> Run:
    """Everybody in turn, on so much text in pieces of so many MiB."""
    from .found import Run

    family.adopt()
    setting = here()
    samples: dict[str, list[Sample | None]] = {name: [] for name in names if TABLE.contenders[name].available()}
    failures: list[str] = []
    digests: set[str] = set()
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "text.txt"
        write_text(path, mebibytes << 20)
        for number in range(rounds):
            for name in [each for each, past in samples.items() if not past or (past[-1] and not slow(past[-1]))]:
                found = taken(name, path, piece, 60 + mebibytes)
                print(f"benchmarks: words, round {number + 1} of {rounds}, {name}: {found}", file=sys.stderr)
                samples[name].append(None if isinstance(found, str) else sample_of(found, mebibytes))
                if isinstance(found, str):
                    failures.append(f"{name}, round {number + 1}: {found}")
                else:
                    digests.add(found["digest"])
    same = "all counts are the same" if len(digests) <= 1 else "THE COUNTS DIFFER"
    if len(digests) > 1:
        failures.append("the counts differ")
    note = f"{mebibytes:,} MiB of text, the sources of the standard library, in pieces of {piece} MiB; {same}."
    plan = Plan(TABLE, list(WORKLOADS.values()), list(samples), rounds, 0.0)
    absent = tuple(name for name in names if name not in samples)
    return Run(plan, {"words": dict(samples)}, failures, setting, absent, note)


def slow(sample: Sample) -> bool:
    return sample.more[SECONDS] > SLOW


def sample_of(found: dict[str, Any], mebibytes: int) -> Sample:
    """As other families have it: an operation is a MiB."""
    more = {SECONDS: found["seconds"], MEMORY: found["memory"] / (1 << 20)}
    return Sample(mebibytes / found["seconds"], found["cpu"] / mebibytes * 1e6, more)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.word_count", description="Count words, all in turn.")
    parser.add_argument("--mebibytes", type=int, default=1024, help="how much text (default: 1024)")
    parser.add_argument("--piece", type=int, default=4, help="MiB of text in a piece (default: 4)")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help=f"how often all are measured (default: {ROUNDS})")
    parser.add_argument("--only", nargs="*", default=[""], help="those whose name has one of these in it")
    parser.add_argument("--into", type=pathlib.Path, default=RESULTS, help=f"where the page goes (default: {RESULTS})")
    parser.add_argument("--publish", action="store_true", help="write the pages and pictures in docs/ too")
    parser.add_argument("--child", nargs=2, metavar=("NAME", "PATH"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        child(*options.child, options.piece << 20)
        return 0
    from . import writing

    names = [name for name in FUNCTIONS if any(each in name for each in options.only)]
    run = measure(names, options.rounds, options.mebibytes, options.piece)
    print(writing.write(run, options.into, options.publish))
    print(*writing.write_pages(options.into, options.publish), sep="\n")
    return 1 if run.failures else 0


if __name__ == "__main__":
    sys.exit(main())
