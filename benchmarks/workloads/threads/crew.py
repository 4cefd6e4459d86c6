"""Runs several threads at once, for the programs that need more than one."""

import threading
from collections.abc import Callable


def together(*bodies: Callable[[], object]) -> None:
    """Each in a thread of its own, until all have ended. What one raises is raised here."""
    failures: list[BaseException] = []

    def run(body: Callable[[], object]) -> None:
        try:
            body()
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=run, args=(body,), daemon=True) for body in bodies]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
