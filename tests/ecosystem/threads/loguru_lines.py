"""loguru: sinks from many threads, sinks behind a queue and a thread, rotation, a sink that logs."""

from __future__ import annotations

import io
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from engine import checked
from loguru import logger


def written(lines: list[str]) -> bool:
    each = [[line for line in lines if line.startswith(f"{number}:")] for number in range(6)]
    return each == [[f"{number}: {line}" for line in range(100)] for number in range(6)]


def write(number: int) -> None:
    with logger.contextualize(thread=number):
        for line in range(100):
            logger.info("{}: {}", number, line)


@checked
def main() -> None:
    logger.remove()
    plain, queued, bound, kept = io.StringIO(), [], [], threading.Lock()

    def slow(message: str) -> None:
        with kept:
            queued.append(message.rstrip("\n"))

    logger.add(plain, format="{message}")
    logger.add(slow, format="{message}", enqueue=True)
    logger.add("lines.log", format="{message}", rotation=500, enqueue=True)
    logger.add(lambda message: bound.append(message.record["extra"]["thread"]), filter=lambda r: r["level"].no == 20)
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(write, range(6)))
    logger.complete()
    print(written(plain.getvalue().splitlines()), written(queued), len(bound), len(set(bound)))
    files = sorted(Path().glob("lines*.log"), key=lambda path: (path.name == "lines.log", path.stat().st_mtime_ns))
    lines = [line for file in files for line in file.read_text().splitlines()]
    print(sorted(lines) == sorted(queued), len(files) > 2)
    logger.remove()
    errors = io.StringIO()
    logger.add(errors, format="{message}", catch=True, backtrace=False, diagnose=False)

    @logger.catch(message="caught")
    def fail() -> None:
        raise LookupError("as asked")

    with ThreadPoolExecutor(2) as pool:
        pool.submit(fail).result()
    print(errors.getvalue().splitlines()[0], errors.getvalue().splitlines()[-1])


if __name__ == "__main__":
    main()
