"""Programs under `fenshen run --advise`, and the reports on them."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path
from typing import NamedTuple

from commands import RUN, Outcome, run

HEAD = """
import asyncio, ctypes, functools, hashlib, multiprocessing, os, socket, sys, threading, time, zlib
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.pool import ThreadPool

def spin(seconds):
    # Of the processor's time: what other processes take of it is not counted.
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        for _ in range(1000):
            pass

def in_pool(function, *arguments, workers=4):
    with ThreadPoolExecutor(workers) as pool:
        return list(pool.map(function, *arguments))

"""


class Told(NamedTuple):
    """What the report tells of one function."""

    way: str
    measured: str
    kind: str
    advice: str
    more: list[str]

    @property
    def calls(self) -> int:
        found = re.match(r"(\d+) (?:call|task)s?\b", self.measured)
        assert found, self.measured
        return int(found[1])

    @property
    def speedup(self) -> float:
        found = re.search(r"expected speed-up up to ([\d.]+)x", self.advice)
        assert found, self.advice
        return float(found[1])

    def seconds(self, what: str) -> float:
        found = re.search(rf"{what}:? ([\d.]+) (m?s)\b", self.measured)
        assert found, self.measured
        return float(found[1]) / (1000 if found[2] == "ms" else 1)


def outcome(folder: Path, source: str, *flags: str, start: list[str] = RUN, **env: str) -> Outcome:
    (folder / "app.py").write_text(HEAD + textwrap.dedent(source).lstrip("\n"))
    return run([*start, "--no-blocked", *flags, "app.py"], cwd=folder, **env)


def split(text: str) -> dict[str, Told]:
    """A report by the names of the functions."""
    head, *lines = text.splitlines()
    assert re.match(
        r"fenshen: advice for app.py \(process \d+, [\d.]+ CPUs? to use(, \d+ looks at its threads)?\):$", head
    )
    found: dict[str, list[str]] = {}
    name = ""
    for line in lines:
        if line.startswith("    "):
            found[name].append(line.strip())
        else:
            name, way = line.strip().rsplit(", ", 1)
            name = name.partition(" (")[0]
            assert name not in found, text
            found[name] = [way]
    return {name: Told(*parts[:4], parts[4:]) for name, parts in found.items()}


def advice(folder: Path, source: str, *flags: str, **env: str) -> dict[str, Told]:
    ended = outcome(folder, source, "--advise", *flags, **env)
    assert ended.status == 0, ended
    return split(ended.err)


def usable() -> float:
    from fenshen.advice.machine import cpus

    return cpus()
