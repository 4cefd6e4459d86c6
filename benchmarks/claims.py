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
import pathlib
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

from . import family, measure
from .found import PUBLISHED
from .packages import importable, version
from .setting import here, of_json

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


def take(ours: bool, *words: str) -> float | str | None:
    """Seconds in a fresh interpreter, or what went wrong."""
    run = ["-m", "fenshen", "run"] if ours else []
    command = [sys.executable, *run, "-m", "benchmarks.claims", "--child", *words]
    status, output, errors = measure.run(command, 120, {"FENSHEN_QUIET": "1"})
    if status is None:
        return measure.HUNG
    if status:
        return measure.cause(errors) or f"exit status {status}"
    try:
        found: float | None = json.loads(output.strip().rpartition("\n")[2])
    except ValueError:
        return f"it printed no measurement: {output.strip()[-100:]}"
    return found


def measure_all(rounds: int) -> dict[str, Any]:
    """Seconds of each round, by the words of the measurement; what failed; on what. What does not fit is left out."""
    plan = [(engine == "fenshen", "model", work, model) for work in WORKS for model in MODELS for engine in ENGINES]
    plan += [(loop == "fenshen", "loop", loop, str(us)) for us in ANSWERS for loop in LOOPS if importable(loop)]
    family.adopt()
    setting, found, failures = here(), dict[str, list[float]](), []
    for number in range(rounds):
        for ours, *words in plan:
            name = " ".join((*words, "fenshen" if ours else "stdlib"))
            measure.progress(f"round {number + 1} of {rounds}: {name}")
            took = take(ours, *words)
            if isinstance(took, str):
                failures.append(f"{name}, round {number + 1}: {took}")
            elif took is not None:
                found.setdefault(name, []).append(took)
    measure.progress("")
    versions = {name: version(name) for name in ("uvloop", "fenshen") if importable(name)}
    return {**setting._asdict(), "rounds": rounds, "versions": versions, "failures": failures, "found": found}


def markdown(kept: dict[str, Any], index: str) -> str:
    """The page of what was measured, beside the page of all families."""
    setting = of_json(kept)
    median = {name: statistics.median(samples) for name, samples in kept["found"].items()}

    def cell(name: str, over: str) -> str:
        if name not in median or over not in median:
            return ""
        return f"{median[name]:.2f} s, {median[over] / median[name]:.1f}x"

    lines = [
        "# What people say of threads, processes and loops, measured",
        "",
        *([f"**{setting.warning()}**", ""] if setting.disturbed() else []),
        setting.where("".join(f", {name} {number}" for name, number in kept["versions"].items())),
        f"Rounds: {kept['rounds']}, of which the median is shown. Written by `make bench-publish`. What else was",
        f"measured: [{index}]({index}).",
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
    loops = [loop for loop in LOOPS if any(name.startswith(f"loop {loop} ") for name in median)]
    lines += [
        "",
        '## "A faster loop is 2-4 times as fast"',
        "",
        f"An echo server with streams and its {CLIENTS} clients on one loop; requests a second, and how many times as",
        "many as on asyncio's own loop. The server computes for so long before each answer.",
        "",
        f"| | {' | '.join(loops)} |",
        "|---" * (1 + len(loops)) + "|",
    ]
    for us in ANSWERS:
        names = [f"loop {loop} {us} {'fenshen' if loop == 'fenshen' else 'stdlib'}" for loop in loops]
        base = median.get(f"loop asyncio {us} stdlib")
        cells = [
            f"{CLIENTS * MESSAGES / median[name]:,.0f}, {base / median[name]:.1f}x" if name in median and base else ""
            for name in names
        ]
        lines.append(f"| {'nothing to compute' if not us else f'{us} µs of computing'} | {' | '.join(cells)} |")
    if kept["failures"]:
        lines += ["", "## What failed", "", *[f"- {failure}" for failure in kept["failures"]]]
    return "\n".join(lines) + "\n"


def page(folder: pathlib.Path, index: str) -> str | None:
    """The page of what is kept in a folder; `None` where nothing is."""
    path = folder / "claims.json"
    return markdown(json.loads(path.read_text()), index) if path.exists() else None


def run(into: pathlib.Path, rounds: int, publish: bool) -> tuple[str, bool]:
    """Measure all and keep it; gives the page, and whether all could be measured."""
    kept = measure_all(rounds)
    for folder in [into, *([PUBLISHED] if publish else [])]:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "claims.json").write_text(json.dumps(kept, indent=1) + "\n")
    text = markdown(kept, "summary.md")
    (into / "claims.md").write_text(text)
    return text, not kept["failures"]


if __name__ == "__main__":
    options = argparse.ArgumentParser()
    options.add_argument("--child", nargs="+", required=True)
    child(*options.parse_args().child)
