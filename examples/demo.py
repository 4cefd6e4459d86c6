"""Show what a program takes by `python` and by fenshen: one that only waits, and one that needs all three models.

    python demo.py [--folder FOLDER] [--delay SECONDS] [--rounds N]

The files come from `slow_disk.py`, a server in a process of its own, the same one for every row. First `wordcount.py`,
an ordinary asyncio program: without any concurrency, by `python`, and by `fenshen run`. Then an index of the files: it
is fetched in tasks, parsed in processes and written to a database in threads: `index_glued.py` from what the standard
library has, and `index_grouped.py` in one `fenshen.TaskGroup`. Exits with 1 when outputs differ that should not.
"""

import argparse
import contextlib
import pathlib
import shutil
import statistics
import subprocess
import sys
import sysconfig
import time
from collections.abc import Iterator
from typing import NamedTuple

HERE = pathlib.Path(__file__).resolve().parent
PROGRAM = str(HERE / "wordcount.py")
SERIAL, ASYNCIO = "one file after another", "asyncio"


class Disk(NamedTuple):
    """A running slow disk."""

    port: str
    files: int
    size: int


class Row(NamedTuple):
    """One way to run the program: what it is, what a person would type, what we run."""

    title: str
    typed: str
    command: list[str]


@contextlib.contextmanager
def slow_disk(folder: pathlib.Path, delay: float) -> Iterator[Disk]:
    """The server, for as long as the block lasts."""
    command = [sys.executable, str(HERE / "slow_disk.py"), str(folder), "--delay", str(delay)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdin
        assert server.stdout
        try:
            words = server.stdout.readline().split()
            if len(words) != 3:
                sys.exit(f"demo: the server did not start (exit status {server.wait()})")
            yield Disk(words[0], int(words[1]), int(words[2]))
        finally:
            server.stdin.close()


def fenshen_command() -> list[str]:
    """`fenshen run` of the environment that runs this file."""
    command = shutil.which("fenshen", path=str(pathlib.Path(sys.executable).parent))
    return [command, "run"] if command else [sys.executable, "-m", "fenshen", "run"]


def rows(port: str) -> list[Row]:
    """The rows of the table of what only waits; the serial one first, so that the wait is behind us."""
    return [
        Row(SERIAL, "python wordcount.py --serial", [sys.executable, PROGRAM, port, "--serial"]),
        Row(ASYNCIO, "python wordcount.py", [sys.executable, PROGRAM, port]),
        Row("fenshen", "fenshen run wordcount.py", [*fenshen_command(), PROGRAM, port]),
    ]


def rows_of_all_models(port: str) -> list[Row]:
    """The rows of the table of what needs tasks, threads and processes."""
    glued, grouped = str(HERE / "index_glued.py"), str(HERE / "index_grouped.py")
    return [
        Row("the standard library", "python index_glued.py", [sys.executable, glued, port]),
        Row("fenshen, unchanged", "fenshen run index_glued.py", [*fenshen_command(), glued, port]),
        Row("fenshen, one group", "fenshen run index_grouped.py", [*fenshen_command(), grouped, port]),
    ]


def run(row: Row) -> tuple[float, str]:
    """Run it once: seconds, and what it printed. Its standard error is ours, so its progress shows."""
    if sys.stderr.isatty():
        print(f"$ {row.typed}", file=sys.stderr)
    started = time.perf_counter()
    done = subprocess.run(row.command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    took = time.perf_counter() - started
    if done.returncode:
        sys.exit(f"demo: `{row.typed}` failed with exit status {done.returncode}")
    return took, done.stdout


def table(ways: list[Row], seconds: list[list[float]]) -> str:
    """The rows with their median time, its spread, and how much faster than the rows above they are."""
    medians = [statistics.median(times) for times in seconds]
    over = "over asyncio" if ways[0].title == SERIAL else ""
    lines = [f"{'':24}{'command':32}{'seconds':>8}  {'min-max':^13}{'speed-up':>10}{over:>14}"]
    for way, median, times in zip(ways, medians, seconds, strict=True):
        spread = f"{min(times):.2f}-{max(times):.2f}"
        factors = f"{medians[0] / median:9.1f}x" + (f"{medians[1] / median:13.2f}x" if over else "")
        lines.append(f"{way.title:24}{way.typed:32}{median:8.2f}  {spread:^13}{factors}")
    return "\n".join(lines)


def compare(ways: list[Row], outputs: list[set[str]]) -> bool:
    """Whether all rows printed the same in every round; says which did not."""
    (expected, *_) = outputs[1]
    odd = [way for way, printed in zip(ways, outputs, strict=True) if printed != {expected}]
    for way in odd:
        print(f"demo: `{way.typed}` printed something else:\n{chr(10).join(outputs[ways.index(way)])}")
    return not odd


def show(ways: list[Row], rounds: int) -> bool:
    """Run all of them in turn, print what they printed and the table; whether they printed the same."""
    seconds: list[list[float]] = [[] for _ in ways]
    outputs: list[set[str]] = [set() for _ in ways]
    for number in range(max(1, rounds)):
        for index, way in enumerate(ways):
            if number and way.title == SERIAL:
                continue  # nothing but waiting: once is enough
            took, printed = run(way)
            seconds[index].append(took)
            outputs[index].add(printed)
    same = compare(ways, outputs)
    print(next(iter(outputs[1])))
    print(table(ways, seconds))
    print(f"\nThe outputs are {'the same' if same else 'NOT the same'}.", flush=True)
    return same


def main() -> int:
    options = argparse.ArgumentParser(description="Programs by `python` and by fenshen, side by side.")
    options.add_argument("--folder", type=pathlib.Path, default=pathlib.Path(sysconfig.get_path("stdlib")))
    options.add_argument("--delay", type=float, default=0.01, help="seconds before each file arrives (default: 0.01)")
    options.add_argument("--rounds", type=int, default=3, help="times to run the concurrent rows (default: 3)")
    chosen = options.parse_args()
    with slow_disk(chosen.folder, chosen.delay) as disk:
        print(
            f"Counting the words of {disk.files} Python files ({disk.size / 1e6:.1f} MB).\n"
            f"A local server keeps each file back for {chosen.delay * 1000:g} ms, as a network disk does.\n"
            "64 files at a time where there is concurrency.\n"
        )
        waiting = show(rows(disk.port), chosen.rounds)
        print("\nAn index of the same files: tasks fetch, processes parse, threads write to a database.\n", flush=True)
        together = show(rows_of_all_models(disk.port), chosen.rounds)
    return 0 if waiting and together else 1


if __name__ == "__main__":
    sys.exit(main())
