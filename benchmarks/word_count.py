"""`python -m benchmarks.word_count`: words counted in a gigabyte of text, by everybody, in the same run.

The text is the sources of the standard library, again and again. Everybody splits it with `str.split`, and gets the
same pieces of the same file, whole lines of about `--piece` MiB, where it can be told so. Each count is compared with
that of one line of Python. Each measurement is a process of its own, from its first call to its result there: the start
of workers is in it, that of Ray's or Dask's cluster is not. Memory is the greatest sum of the PSS of the process and
all that it has started; the CPU is that of all of them, too.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import importlib.util
import json
import os
import pathlib
import subprocess
import sys
import sysconfig
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

from . import family

WORKERS = 2
ROOT = pathlib.Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results"
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


#: What each is called, the module that it needs, and whether it is something to be made ready first.
CONTENDERS: dict[str, tuple[Any, str, bool]] = {
    "stdlib pool, map + Counter": (stdlib, "concurrent.futures", False),
    "Ray, tasks + Counter": (ray, "ray", True),
    "Dask, bag.frequencies()": (dask, "distributed", True),
    "fenshen map_reduce, str.split and len": (fenshen, "fenshen", False),
    "fenshen map_reduce, Counter and sum": (fenshen_counter, "fenshen", False),
    "fenshen map_reduce, memory_limit=64 MiB": (fenshen_limited, "fenshen", False),
    "one line of Python, one process": (one_line, "sys", False),
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
    function, _, prepared = CONTENDERS[name]
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


def measured(name: str, path: pathlib.Path, piece: int, limit: float) -> dict[str, Any]:
    """One measurement in a process of its own; what it leaves behind is ended."""
    words = [sys.executable, "-m", "benchmarks.word_count", "--child", name, str(path), "--piece", str(piece)]
    try:
        done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=limit)
    except subprocess.TimeoutExpired:
        return {"failed": f"not within {limit:g} s"}
    finally:
        family.end_all(2.0)
    if done.returncode:
        return {"failed": done.stderr.strip().splitlines()[-1]}
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def page(options: argparse.Namespace, found: dict[str, list[dict[str, Any]]]) -> str:
    """What was measured, as a table."""
    best = {
        name: min((each["seconds"] for each in some if "seconds" in each), default=None) for name, some in found.items()
    }
    base = best.get("stdlib pool, map + Counter")
    digests = {each["digest"] for some in found.values() for each in some if "digest" in each}
    rows = [
        f"# Words in {options.mebibytes} MiB of text",
        "",
        f"{WORKERS} workers, pieces of {options.piece} MiB, the best of {options.rounds} rounds; "
        f"{'all counts are the same' if len(digests) == 1 else 'THE COUNTS DIFFER'}.",
        "",
        "| who | seconds | times the stdlib pool | seconds of CPU, all processes | MiB at most |",
        "|---|---:|---:|---:|---:|",
    ]
    for name, some in found.items():
        seconds = best[name]
        if seconds is None:
            rows.append(f"| {name} | {some[0]['failed']} | | | |")
            continue
        ratio = f"{base / seconds:.2f}" if base else ""
        memory = max(each["memory"] for each in some if "memory" in each) >> 20
        cpu = min(each["cpu"] for each in some if "cpu" in each)
        rows.append(f"| {name} | {seconds:.2f} | {ratio} | {cpu:.2f} | {memory} |")
    return "\n".join(rows) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.word_count", description="Count words, all in turn.")
    parser.add_argument("--mebibytes", type=int, default=1024, help="how much text (default: 1024)")
    parser.add_argument("--piece", type=int, default=4, help="MiB of text in a piece (default: 4)")
    parser.add_argument("--rounds", type=int, default=2, help="how often everybody is measured (default: 2)")
    parser.add_argument("--only", nargs="*", default=[""], help="those whose name has one of these in it")
    parser.add_argument("--into", type=pathlib.Path, default=RESULTS, help=f"where the page goes (default: {RESULTS})")
    parser.add_argument("--child", nargs=2, metavar=("NAME", "PATH"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        child(*options.child, options.piece << 20)
        return 0
    family.adopt()
    names = [name for name, (_, module, _) in CONTENDERS.items() if any(each in name for each in options.only)]
    names = [name for name in names if importlib.util.find_spec(CONTENDERS[name][1])]
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in names}
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "text.txt"
        write_text(path, options.mebibytes << 20)
        for _ in range(options.rounds):
            for name in names:
                found[name].append(measured(name, path, options.piece, 60 + options.mebibytes))
                print(f"{name}: {found[name][-1]}", file=sys.stderr)
    text = page(options, found)
    options.into.mkdir(parents=True, exist_ok=True)
    (options.into / "word_count.md").write_text(text)
    print(text)
    wrong = any("failed" in each for some in found.values() for each in some)
    return 1 if wrong or "DIFFER" in text else 0


if __name__ == "__main__":
    sys.exit(main())
