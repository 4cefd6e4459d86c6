"""watchdog: an observer on inotify and one that polls, each with an emitter's thread, a queue of its own between them,
and handlers in yet another.
"""

from __future__ import annotations

import queue
import threading
from pathlib import Path

from engine import checked
from watchdog.events import FileSystemEvent, FileSystemEventHandler, PatternMatchingEventHandler
from watchdog.observers import Observer
from watchdog.observers.polling import PollingObserver
from watchdog.utils.bricks import SkipRepeatsQueue
from watchdog.utils.event_debouncer import EventDebouncer

SECONDS = 30


class Handler(FileSystemEventHandler):
    def __init__(self) -> None:
        self.seen: queue.Queue[tuple[str, str]] = queue.Queue()

    def on_any_event(self, event: FileSystemEvent) -> None:
        if event.event_type in ("created", "deleted", "moved"):
            self.seen.put((event.event_type, Path(event.dest_path or event.src_path).name))

    def until(self, *wanted: tuple[str, str]) -> bool:
        """Whether all these events come."""
        missing = set(wanted)
        while missing:
            missing.discard(self.seen.get(timeout=SECONDS))
        return True


def watched(observer: object, folder: Path) -> None:
    folder.mkdir()
    handler, texts = Handler(), Texts(patterns=["*.txt", "**/*.txt"])
    watch = observer.schedule(handler, str(folder), recursive=True)
    observer.add_handler_for_watch(texts, watch)
    observer.start()
    for number in range(20):
        (folder / f"file {number}").write_text("x")
    print(handler.until(*(("created", f"file {number}") for number in range(20))))
    (folder / "file 1").rename(folder / "other.txt")
    (folder / "note.txt").touch()
    print(handler.until(("moved", "other.txt")), texts.seen.wait(SECONDS))
    (folder / "inner").mkdir()
    print(handler.until(("created", "inner")))
    (folder / "other.txt").unlink()
    print(handler.until(("deleted", "other.txt")))
    observer.unschedule(watch)
    observer.stop()
    observer.join(SECONDS)
    print(observer.is_alive())


class Texts(PatternMatchingEventHandler):
    def __init__(self, **settings: object) -> None:
        super().__init__(**settings)
        self.seen = threading.Event()

    def on_created(self, event: FileSystemEvent) -> None:
        self.seen.set()


def parts() -> None:
    items = SkipRepeatsQueue()
    for word in ["a", "a", "b", "b", "a"]:
        items.put(word)
    print([items.get() for _ in range(items.qsize())])
    batches: queue.Queue[list[object]] = queue.Queue()
    debouncer = EventDebouncer(0.02, batches.put)
    debouncer.start()
    for number in range(5):
        debouncer.handle_event(number)
    found: list[object] = []
    while len(found) < 5:
        found += batches.get(timeout=SECONDS)
    print(found)
    debouncer.stop()
    debouncer.join(SECONDS)


@checked
def main() -> None:
    watched(Observer(timeout=0.1), Path("notified"))
    watched(PollingObserver(timeout=0.02), Path("polled"))
    parts()
    print(threading.active_count())


if __name__ == "__main__":
    main()
