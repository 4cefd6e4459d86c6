"""logging from many threads: straight to handlers, through QueueHandler and QueueListener, from handlers that log, into
files that rotate, and into what a memory handler keeps until the end.
"""

from __future__ import annotations

import io
import logging
import logging.config
import logging.handlers
import queue
import threading
from pathlib import Path

from engine import checked


def write(logger: logging.Logger, threads: int = 8, lines: int = 200) -> None:
    def work(number: int) -> None:
        for line in range(lines):
            logger.info("thread %d line %d", number, line)

    workers = [threading.Thread(target=work, args=(number,)) for number in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()


def right(lines: list[str], threads: int = 8, count: int = 200) -> bool:
    """All lines are there, whole, and each thread's in their order."""
    each = [[line for line in lines if line.startswith(f"thread {number} ")] for number in range(threads)]
    return each == [[f"thread {number} line {line}" for line in range(count)] for number in range(threads)]


def straight() -> None:
    out = io.StringIO()
    logger = logging.Logger("straight")
    logger.addHandler(logging.StreamHandler(out))
    logger.addHandler(logging.FileHandler("straight.log"))
    write(logger)
    for handler in logger.handlers:
        handler.close()
    print(right(out.getvalue().splitlines()), right(Path("straight.log").read_text().splitlines()))


class Chatty(logging.StreamHandler):
    """A handler that logs, while it holds its own lock."""

    def emit(self, record: logging.LogRecord) -> None:
        super().emit(record)
        if "line 199" in record.getMessage():
            logging.getLogger("queued.inner").warning("%s says its last", record.getMessage()[:8])


def queued() -> None:
    records: queue.Queue[logging.LogRecord] = queue.Queue(-1)
    out, errors = io.StringIO(), io.StringIO()
    everything, warnings = Chatty(out), logging.StreamHandler(errors)
    warnings.setLevel(logging.WARNING)
    logger = logging.getLogger("queued")
    logger.propagate = False
    logger.setLevel(logging.DEBUG)
    logger.addHandler(logging.handlers.QueueHandler(records))
    listener = logging.handlers.QueueListener(records, everything, warnings, respect_handler_level=True)
    listener.start()
    write(logger)
    try:
        1 / 0  # noqa: B018
    except ZeroDivisionError:
        logger.exception("it failed")
    while errors.getvalue().count("says its last") < 8:
        threading.Event().wait(0.01)
    listener.stop()
    lines = out.getvalue().splitlines()
    print(right([line for line in lines if "says" not in line]), "ZeroDivisionError: division by zero" in lines)
    print(sorted(line for line in errors.getvalue().splitlines() if "says" in line)[:2], records.qsize())
    listener.start()
    logger.info("and again")
    listener.stop()
    print(out.getvalue().splitlines()[-1])


def through(records: object) -> None:
    """Other queues that people give to the pair."""
    out = io.StringIO()
    logger = logging.Logger("through")
    logger.addHandler(logging.handlers.QueueHandler(records))
    listener = logging.handlers.QueueListener(records, logging.StreamHandler(out))
    listener.start()
    write(logger, 4, 50)
    listener.stop()
    print(right(out.getvalue().splitlines(), 4, 50))


def rotated() -> None:
    logger = logging.Logger("rotated")
    handler = logging.handlers.RotatingFileHandler("rotated.log", maxBytes=2000, backupCount=100)
    logger.addHandler(handler)
    write(logger, 4)
    handler.close()
    files = sorted(Path().glob("rotated.log*"), key=lambda path: -int(path.suffix[1:] if path.suffix != ".log" else 0))
    print(right([line for file in files for line in file.read_text().splitlines()], 4), len(files) > 3)


def configured() -> None:
    """By a dictionary; from 3.12 on it makes the queue and the listener too."""
    handlers = {
        "kept": {"class": "logging.handlers.MemoryHandler", "capacity": 9999, "target": "file"},
        "file": {"class": "logging.FileHandler", "filename": "configured.log"},
    }
    root = {"handlers": ["kept"], "level": "INFO"}
    logging.config.dictConfig({"version": 1, "handlers": handlers, "root": root})
    write(logging.getLogger(), 4, 50)
    print(Path("configured.log").read_text() == "")
    logging.error("enough")
    lines = Path("configured.log").read_text().splitlines()
    print(right(lines, 4, 50), lines[-1])
    logging.info("written at the end, by logging's own exit")


@checked
def main() -> None:
    straight()
    queued()
    through(queue.Queue(maxsize=1000))
    through(queue.SimpleQueue())
    rotated()
    configured()


if __name__ == "__main__":
    main()
