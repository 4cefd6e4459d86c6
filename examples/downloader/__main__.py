"""Download many files at once, by threads, by processes, by tasks, and mixed, and show what each took.

    python examples/downloader                       # every model, on 100 files of a local server
    python examples/downloader tasks URL FOLDER      # one model; run again, it goes on where it was

A file grows as `NAME.part` and gets its name when it is whole and its SHA-256 is right; `.done` in the folder lists
these. What fails is tried again after a pause.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
import sysconfig
from importlib import import_module
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from done_list import left
from job import list_files

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
        from comparing import compare

        compare(chosen.source, chosen.count, chosen.connections, chosen.delay, chosen.fail_every, chosen.rounds)
    elif chosen.folder is None:
        options.error("a model needs a URL and a FOLDER")
    else:
        download(chosen.model, chosen.url, chosen.folder, chosen.connections)


if __name__ == "__main__":
    main()
