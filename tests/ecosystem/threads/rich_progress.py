"""rich: a progress display that a thread of its own draws, and that others update; a status; logging through it."""

from __future__ import annotations

import io
import logging
import threading
import time
from concurrent.futures import ThreadPoolExecutor

from engine import checked
from rich.console import Console
from rich.live import Live
from rich.logging import RichHandler
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, track
from rich.table import Table

SECONDS = 30


def console(terminal: bool = True) -> Console:
    return Console(file=io.StringIO(), force_terminal=terminal, width=60, color_system=None, legacy_windows=False)


def progress() -> None:
    screen = console()
    columns = (TextColumn("{task.description}"), BarColumn(10), MofNCompleteColumn())
    with Progress(*columns, console=screen, refresh_per_second=100) as bars:
        tasks = [bars.add_task(f"task {number}", total=100) for number in range(4)]

        def work(task: int) -> None:
            for step in range(100):
                bars.advance(task)
                if step == 50:
                    bars.console.print(f"task {task} is half way")

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(work, tasks))
        before = len(screen.file.getvalue())
        deadline = time.monotonic() + SECONDS
        bars.update(tasks[0], description="renamed")
        while len(screen.file.getvalue()) == before and time.monotonic() < deadline:
            time.sleep(0.005)  # its thread draws
        print(len(screen.file.getvalue()) > before, bars.finished)
    text = screen.file.getvalue()
    print([text.count(f"task {number} is half way") for number in range(4)], "renamed" in text)
    print(text.replace("\x1b[?25h", "").rstrip().splitlines()[-1].strip())


def live() -> None:
    screen, drawn = console(), threading.Event()
    rows: list[int] = []

    def table() -> Table:
        made = Table("number", title="numbers")
        for row in list(rows):
            made.add_row(str(row))
        drawn.set()
        return made

    with Live(get_renderable=table, console=screen, refresh_per_second=50) as display:
        rows.extend(range(3))
        drawn.clear()
        print(drawn.wait(SECONDS), display.is_started)
    print("│ 2" in screen.file.getvalue() or "2" in screen.file.getvalue())
    with screen.status("working") as status:
        status.update("still working")
        time.sleep(0.1)
    print("working" in screen.file.getvalue())
    print(sum(track(range(10), console=console(False))))


def logged() -> None:
    screen = console(False)
    logger = logging.Logger("rich")
    logger.addHandler(RichHandler(console=screen, show_time=False, show_path=False))
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda number: logger.warning("line %d", number), range(200)))
    lines = [line.split() for line in screen.file.getvalue().splitlines()]
    print(sorted(int(line[-1]) for line in lines) == list(range(200)), {tuple(line[:-1]) for line in lines})


@checked
def main() -> None:
    for part in (progress, live, logged):
        part()


if __name__ == "__main__":
    main()
