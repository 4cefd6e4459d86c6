"""Runs several threads at once, for the programs that need more than one."""

import queue
import threading
from collections.abc import Callable


def together(*bodies: Callable[[], object]) -> None:
    """Each in a thread of its own, until all have ended. What one raises is raised here, and the rest left behind."""
    ended: queue.SimpleQueue[BaseException | None] = queue.SimpleQueue()

    def run(body: Callable[[], object]) -> None:
        try:
            body()
        except BaseException as error:
            ended.put(error)
        else:
            ended.put(None)

    for body in bodies:
        threading.Thread(target=run, args=(body,), daemon=True).start()
    for _ in bodies:
        if failure := ended.get():
            raise failure
