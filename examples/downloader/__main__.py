"""Download many files at once, by threads, by processes, by tasks, and mixed, and show what each took.

    python examples/downloader                       # every model, on 100 files of a local server
    python examples/downloader tasks URL FOLDER      # one model; run again, it goes on where it was

A file grows as `NAME.part` and gets its name when it is whole and its SHA-256 is right; `.done` in the folder lists
these. What fails is tried again after a pause.
"""

from __future__ import annotations

import argparse
import contextlib
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import time
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from done_list import left  # noqa: E402
from job import list_files  # noqa: E402
from memory import PeakMemory  # noqa: E402
from serving import web_server  # noqa: E402

# Where there are many files of a megabyte or so.
SOURCE = Path("/usr/lib") if sys.platform == "linux" else Path(sysconfig.get_path("stdlib"))
NAMES = ("threads", "processes", "tasks", "mixed")


def download(model: str, url: str, folder: Path, connections: int) -> None:
    """Download what is not in the folder yet."""
    folder.mkdir(parents=True, exist_ok=True)
    files = list_files(url)
    wanted = left(files, folder)
    again = 0
    with progress(model, len(files) - len(wanted), len(files)) as bar:

        def done(attempts: int) -> None:
            nonlocal again
            again += attempts - 1
            bar.update()

        import_module(f"by_{model}").download_all(url, wanted, folder, connections, done)
    print(f"{len(wanted)} files, {len(files) - len(wanted)} were there, {again} attempts more")


def progress(model: str, done: int, total: int) -> Any:
    """A bar on a terminal, nothing elsewhere."""
    if not sys.stderr.isatty():
        return Silence()
    from tqdm import tqdm

    return tqdm(total=total, initial=done, unit="file", desc=model)


class Silence(contextlib.nullcontext[Any]):
    """A bar that nobody sees."""

    def __enter__(self) -> Silence:
        return self

    def update(self) -> None:
        """One more."""


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


def main() -> None:
    """The command line."""
    options = argparse.ArgumentParser(description="Download many files at once, by threads, processes and tasks.")
    options.add_argument("model", nargs="?", choices=NAMES, help="(default: all of them, compared)")
    options.add_argument("url", nargs="?", help="a server of examples/web_server.py")
    options.add_argument("folder", nargs="?", type=Path, help="where the files go")
    options.add_argument("--connections", type=int, default=20, help="at once (default: 20)")
    options.add_argument("--source", type=Path, default=SOURCE, help=f"files to serve (default: {SOURCE})")
    options.add_argument("--count", type=int, default=100, help="files to serve (default: 100)")
    options.add_argument("--delay", type=float, default=0.02, help="seconds before each answer (default: 0.02)")
    options.add_argument("--fail-every", type=int, default=0, help="refuse every Nth request (default: none)")
    options.add_argument("--rounds", type=int, default=3, help="of which the best is shown (default: 3)")
    chosen = options.parse_args()
    if chosen.model is None:
        compare(chosen.source, chosen.count, chosen.connections, chosen.delay, chosen.fail_every, chosen.rounds)
    elif chosen.folder is None:
        options.error("a model needs a URL and a FOLDER")
    else:
        download(chosen.model, chosen.url, chosen.folder, chosen.connections)


if __name__ == "__main__":
    main()
