"""What people say of the three models, measured: `python -m benchmarks --only claims`.

"Threads help I/O and hurt CPU": the same calls one after the other, in threads, in processes, in tasks, and in tasks
that hand the computing to processes. "A faster loop is 2-4 times as fast": an echo server on each loop, whose answers
take some computing of their own. Each measurement runs in a fresh process; a row is the median of the rounds.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import os
import pathlib
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import date
from typing import Any

from .packages import importable, version

ROOT = pathlib.Path(__file__).resolve().parent.parent
PAGE = "benchmarks-claims"
WORKERS = 16  # threads: many more than CPUs, as for I/O
DATA = bytes(4 << 20)


def compute(seconds: float) -> int:
    """Pure Python for about so long on a machine of 2023: a count of steps, so that contention does not shorten it."""
    total = 0
    for n in range(int(seconds * 2e7)):
        total += n
    return total


def waits(_: int) -> None:
    time.sleep(0.01)


def computes(_: int) -> None:
    compute(0.02)


def hashes(_: int) -> None:
    hashlib.sha256(DATA).digest()


def both(_: int) -> None:
    time.sleep(0.01)
    compute(0.01)


async def awaits(_: int) -> None:
    await asyncio.sleep(0.01)


async def awaits_then_computes(_: int) -> None:
    await asyncio.sleep(0.01)
    compute(0.01)


async def awaits_then_sends(_: int) -> None:
    await asyncio.sleep(0.01)
    await asyncio.get_running_loop().run_in_executor(_pool, compute, 0.01)


# The work: what is said of it, how many calls, the call as a function, as a coroutine function, and with processes.
Work = tuple[str, int, Callable[[int], None], "Callable[[int], Any] | None", "Callable[[int], Any] | None"]
WORKS: dict[str, Work] = {
    "waits": ("waits 10 ms (a crawler, a client of a database)", 200, waits, awaits, None),
    "computes": ("computes in Python (parsing, rules)", 40, computes, None, None),
    "hashes": ("computes outside the interpreter lock (SHA-256 of 4 MiB)", 40, hashes, None, None),
    "both": ("waits 10 ms, then computes (fetch and parse)", 60, both, awaits_then_computes, awaits_then_sends),
}
MODELS = ("one by one", "threads", "processes", "tasks", "tasks and processes")
ENGINES = ("stdlib", "fenshen")
LOOPS = ("asyncio", "uvloop", "fenshen")
# Microseconds that each answer takes to compute.
ANSWERS = (0, 100, 1000)
CLIENTS, MESSAGES = 20, 100

_pool: Any = None


# -- One measurement, in a process of its own --------------------------------------------------------------------------


def by_model(work: str, model: str) -> float | None:
    """Seconds for all calls; None where the model does not fit."""
    global _pool
    from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

    _, calls, function, coroutine, mixed = WORKS[work]
    numbers = range(calls)
    if model == "one by one":
        return timed(lambda: [function(n) for n in numbers])
    if model == "threads":
        with ThreadPoolExecutor(WORKERS) as threads:
            return timed(lambda: list(threads.map(function, numbers)))
    if model == "processes":
        with ProcessPoolExecutor() as processes:
            list(processes.map(waits, numbers[:8]))  # the workers are there
            return timed(lambda: list(processes.map(function, numbers)))
    chosen = coroutine if model == "tasks" else mixed
    if chosen is None:
        return None
    with ProcessPoolExecutor() as _pool:
        list(_pool.map(waits, numbers[:8]))

        async def every() -> None:
            await asyncio.gather(*map(chosen, numbers))

        return timed(lambda: asyncio.run(every()))


def timed(call: Callable[[], object]) -> float:
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


async def echo(microseconds: int) -> float:
    """Seconds that a server with so much to compute for each answer takes to answer all messages of all clients."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            compute(microseconds / 1e6)
            writer.write(line)
        writer.close()

    async def ask(port: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for _ in range(MESSAGES):
            writer.write(b"x" * 100 + b"\n")
            await reader.readline()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    await ask(port)
    began = time.perf_counter()
    await asyncio.gather(*(ask(port) for _ in range(CLIENTS)))
    took = time.perf_counter() - began
    server.close()
    return took


def by_loop(loop: str, microseconds: int) -> float:
    """The same on a loop of that kind."""
    if loop == "uvloop":
        import uvloop

        made = uvloop.new_event_loop()
        return made.run_until_complete(echo(microseconds))
    return asyncio.run(echo(microseconds))


def child(what: str, *words: str) -> None:
    """Measure, and print it."""
    print(json.dumps(by_model(*words) if what == "model" else by_loop(words[0], int(words[1]))))


# -- All of them -------------------------------------------------------------------------------------------------------


def take(ours: bool, *words: str) -> float | None:
    """One measurement in a fresh interpreter."""
    run = ["-m", "fenshen", "run"] if ours else []
    command = [sys.executable, *run, "-m", "benchmarks.claims", "--child", *words]
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "FENSHEN"))}
    clean["FENSHEN_QUIET"] = "1"
    done = subprocess.run(command, cwd=ROOT, env=clean, capture_output=True, text=True, timeout=120)
    if done.returncode:
        raise RuntimeError(f"{' '.join(words)} failed: {done.stderr.strip()[-300:]}")
    found: float | None = json.loads(done.stdout)
    return found


def measure(rounds: int) -> dict[str, list[list[float]]]:
    """Seconds of each round, by the words of the measurement; what does not fit is left out."""
    plan = [(engine == "fenshen", "model", work, model) for work in WORKS for model in MODELS for engine in ENGINES]
    plan += [(loop == "fenshen", "loop", loop, str(us)) for us in ANSWERS for loop in LOOPS if importable(loop)]
    found: dict[str, list[list[float]]] = {}
    for _ in range(rounds):
        for ours, *words in plan:
            took = take(ours, *words)
            if took is not None:
                found.setdefault(" ".join((*words, "fenshen" if ours else "stdlib")), []).append([took])
    return found


def markdown(found: dict[str, list[list[float]]], rounds: int) -> str:
    """The page."""
    median = {name: statistics.median(took for (took,) in samples) for name, samples in found.items()}

    def cell(name: str, over: str) -> str:
        return f"{median[name]:.2f} s, {median[over] / median[name]:.1f}x" if name in median else ""

    packages = ", ".join(f"{name} {version(name)}" for name in ("uvloop", "fenshen") if importable(name))
    lines = [
        "# What people say of threads, processes and loops, measured",
        "",
        f"{platform.processor() or platform.machine()}, {len(os.sched_getaffinity(0))} CPUs. CPython "
        f"{platform.python_version()}, {packages}. {date.today():%d %B %Y}.",
        f"Rounds: {rounds}, of which the median is shown. Written by `make bench-publish`.",
        "",
        '## "Threads help I/O and hurt CPU"',
        "",
        "Seconds for all calls, and how many times as fast as one by one on the same engine. The pool has",
        f"{WORKERS} threads, or a process for each CPU.",
        "",
        "| each call | engine | " + " | ".join(MODELS) + " |",
        "|---" * (2 + len(MODELS)) + "|",
    ]
    for work, (title, calls, *_) in WORKS.items():
        for engine in ENGINES:
            cells = [cell(f"model {work} {model} {engine}", f"model {work} {MODELS[0]} {engine}") for model in MODELS]
            lines.append(f"| {title}, {calls} calls | {engine} | {' | '.join(cells)} |")
    lines += [
        "",
        '## "A faster loop is 2-4 times as fast"',
        "",
        f"An echo server with streams and its {CLIENTS} clients on one loop; requests a second, and how many times as",
        "many as on asyncio's own loop. The server computes for so long before each answer.",
        "",
        "| | " + " | ".join(loop for loop in LOOPS if importable(loop)) + " |",
        "|---" * (1 + sum(map(importable, LOOPS))) + "|",
    ]
    for us in ANSWERS:
        names = [f"loop {loop} {us} {'fenshen' if loop == 'fenshen' else 'stdlib'}" for loop in LOOPS]
        cells = [
            f"{CLIENTS * MESSAGES / median[name]:,.0f}, {median[names[0]] / median[name]:.1f}x"
            for name in names
            if name in median
        ]
        lines.append(f"| {'nothing to compute' if not us else f'{us} µs of computing'} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def downloads(rounds: int) -> str:
    """What the bulk downloader of the examples takes by each model, beside wget2 where that is installed."""
    command = [sys.executable, "examples/downloader", "--rounds", str(rounds)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600, check=True)
    text = "`python examples/downloader`; the least seconds of the rounds, and the family's memory (PSS) at its peak."
    return f"\n## A bulk download\n\n{text}\n\n```\n{done.stdout}```\n"


def busy(load: float, cpus: int) -> str:
    """What a page begins with whose numbers are not to be quoted."""
    return f"Measured on a machine that had other things to do (a load of {load:.0f} on {cpus} CPUs): not to be quoted."


def run(into: pathlib.Path, rounds: int, publish: bool) -> str:
    """Measure all, write the page, and give it."""
    load, cpus = os.getloadavg()[0], len(os.sched_getaffinity(0))
    page = markdown(measure(rounds), rounds) + downloads(rounds)
    if load > cpus / 2:
        title, rest = page.split("\n", 1)
        page = f"{title}\n\n**{busy(load, cpus)}**\n{rest}"
    for folder in [into, *([ROOT / "docs"] if publish else [])]:
        (folder / f"{PAGE}.md").write_text(page)
    return page


if __name__ == "__main__":
    options = argparse.ArgumentParser()
    options.add_argument("--child", nargs="+", required=True)
    child(*options.parse_args().child)
