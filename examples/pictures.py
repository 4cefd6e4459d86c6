"""Pictures through three models: every file of a folder is read, measured and summed up, each step where it fits.

    python examples/pictures.py [FOLDER] [--blur N]

Threads read the files, processes blur each one as if it were a grey picture and take its histogram, and tasks send what
comes of it to a server, which keeps a line for each. The same is done one step after the other first, and the two must
agree. numpy is needed for nothing; what is computed is pure Python.
"""

from __future__ import annotations

import argparse
import asyncio
import functools
import math
import sysconfig
import time
from pathlib import Path
from typing import NamedTuple

import fenshen
from fenshen.flow import pipeline, stage

WIDTH = 64
HEIGHT = 32


class Picture(NamedTuple):
    """The beginning of a file, as `WIDTH` times `HEIGHT` grey points."""

    name: str
    points: bytes


class Measured(NamedTuple):
    """What is left of a picture."""

    name: str
    mean: float
    entropy: float


def read(path: Path) -> Picture:
    """Read a file: this waits for the disk, so it is for threads."""
    with open(path, "rb") as file:
        return Picture(path.name, file.read(WIDTH * HEIGHT).ljust(WIDTH * HEIGHT, b"\0"))


def blur(points: bytes) -> bytes:
    """Each point becomes the mean of itself and its eight neighbours; the edges are those of a ring."""
    size = len(points)
    around = (-WIDTH - 1, -WIDTH, -WIDTH + 1, -1, 0, 1, WIDTH - 1, WIDTH, WIDTH + 1)
    return bytes(sum(points[(n + d) % size] for d in around) // 9 for n in range(size))


def measure(picture: Picture, times: int) -> Measured:
    """Blur a picture some times and measure it: this computes, so it is for processes."""
    points = picture.points
    for _ in range(times):
        points = blur(points)
    counts = [points.count(grey) for grey in range(256)]
    entropy = -sum(c / len(points) * math.log2(c / len(points)) for c in counts if c)
    return Measured(picture.name, sum(points) / len(points), entropy)


class Ledger:
    """A server that answers each line after a while, as one far away does."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            await asyncio.sleep(0.01)
            self.lines.append(line.decode())
            writer.write(b"kept\n")
        writer.close()


async def send(port: int, measured: Measured) -> str:
    """Send a line and wait for the answer: this waits for the network, so it is for tasks."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"{measured.name} {measured.mean:.3f} {measured.entropy:.3f}\n".encode())
    answer = await reader.readline()
    writer.close()
    return answer.decode()


async def one_after_the_other(paths: list[Path], times: int, port: int) -> int:
    """All steps of a file, then the next file."""
    for path in paths:
        await send(port, measure(read(path), times))
    return len(paths)


async def through_three_models(paths: list[Path], times: int, port: int) -> int:
    """The same, with every step of several files at once."""

    async def sent(measured: Measured) -> str:
        return await send(port, measured)

    line = pipeline(
        paths,
        stage(read, "thread", workers=4),
        stage(functools.partial(measure, times=times), "process", name="measure"),
        stage(sent, "async", ordered=False),
    )
    return await line.arun(collect=False)


async def main(paths: list[Path], times: int) -> None:
    """Both ways, and what they took."""
    kept = []
    for way in (one_after_the_other, through_three_models):
        ledger = Ledger()
        server = await asyncio.start_server(ledger.serve, "127.0.0.1", 0)
        began = time.perf_counter()
        count = await way(paths, times, server.sockets[0].getsockname()[1])
        print(f"{way.__name__.replace('_', ' '):22}{count:6} files{time.perf_counter() - began:8.2f} s", flush=True)
        server.close()
        kept.append(sorted(ledger.lines))
    print("The results are the same." if kept[0] == kept[1] else "The results are NOT the same.")
    if kept[0] != kept[1]:
        raise SystemExit(1)


if __name__ == "__main__":
    options = argparse.ArgumentParser(description="Pictures through threads, processes and tasks.")
    options.add_argument("folder", nargs="?", type=Path, default=Path(sysconfig.get_path("stdlib")))
    options.add_argument("--pattern", default="*.py", help="which files (default: *.py)")
    options.add_argument("--blur", type=int, default=1, help="how often each is blurred (default: 1)")
    chosen = options.parse_args()
    fenshen.run(main(sorted(chosen.folder.glob(chosen.pattern)), chosen.blur))
