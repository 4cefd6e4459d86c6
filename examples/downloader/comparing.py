"""The models side by side: each in an interpreter of its own, on the same files of a local server."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from job import list_files
from memory import PeakMemory
from serving import web_server

HERE = Path(__file__).resolve().parent
NAMES = ("threads", "processes", "tasks", "mixed")


class Took(NamedTuple):
    """What a run took."""

    seconds: float
    memory: int
    said: str


def measured(command: list[str]) -> Took:
    """Run a command to its end, with all it starts."""
    began = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process, PeakMemory(process.pid) as memory:
        assert process.stdout
        said = process.stdout.read()
        status = process.wait()
        seconds = time.perf_counter() - began
    if status:
        sys.exit(f"downloader: `{' '.join(command)}` failed with exit status {status}")
    return Took(seconds, memory.peak, said.strip())


def commands(url: str, folder: Path, connections: int, tool: bool) -> dict[str, list[str]]:
    """What is compared, by name: each model in an interpreter of its own, and `tool` wget2 too."""
    found = {
        name: [sys.executable, str(HERE), name, url, str(folder / name), "--connections", str(connections)]
        for name in NAMES
    }
    if tool:
        (folder / "urls").write_text("".join(f"{url}{file.path}\n" for file in list_files(url)))
        words = f"wget2 -q -x -nH --max-threads={connections}"
        found["wget2"] = [*words.split(), "-P", str(folder / "wget2"), "-i", str(folder / "urls")]
    return found


def compare(source: Path, count: int, connections: int, delay: float, fail_every: int, rounds: int) -> None:
    """Every model on the same files, in turn; the best round of each is shown."""
    options = ["--count", str(count), "--delay", str(delay), "--fail-every", str(fail_every)]
    with web_server(source, *options) as url, tempfile.TemporaryDirectory() as folder:
        files = list_files(url)
        size = sum(file.size for file in files)
        print(f"{len(files)} files, {size / 1e6:.1f} MB, from a local server, {connections} connections at once")
        print(
            f"that answers after {delay * 1000:g} ms" + (f" and refuses each {fail_every}th request" * (fail_every > 0))
        )
        tool = bool(shutil.which("wget2")) and not fail_every
        print(f"\n{'':12}{'seconds':>9}{'peak memory':>14}")
        for name, command in commands(url, Path(folder), connections, tool).items():
            best = None
            for _ in range(rounds):
                shutil.rmtree(Path(folder, name), ignore_errors=True)
                took = measured(command)
                best = took if best is None else min(best, took)
            assert best is not None
            print(f"{name:12}{best.seconds:9.2f}{best.memory / 1e6:11.1f} MB   {best.said}", flush=True)
