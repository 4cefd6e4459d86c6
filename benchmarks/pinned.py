"""The floor of CPU work: processes that are nothing but their work, each on a core of its own."""

import multiprocessing
import os
from collections.abc import Iterable
from multiprocessing.connection import Connection
from typing import Any

from .pools import Function, Pool


def serve(tasks: Connection, core: int) -> None:
    """Calls a function for each of the arguments that come with it, until there is nobody to ask."""
    os.sched_setaffinity(0, {core})
    while message := tasks.recv():
        function, arguments = message
        tasks.send([function(argument) for argument in arguments])


class Pinned(Pool):
    """Shares all arguments out beforehand: what a pool has to say for each task is not said."""

    def __init__(self, workers: int) -> None:
        usable = sorted(os.sched_getaffinity(0))
        context = multiprocessing.get_context("fork")
        self.processes, self.ends = [], []
        for number in range(workers):
            end, theirs = context.Pipe()
            process = context.Process(target=serve, args=(theirs, usable[number % len(usable)]))
            process.start()
            self.processes.append(process)
            self.ends.append(end)

    def many(self, function: Function, arguments: Iterable[Any]) -> list[Any]:
        shared = list(arguments)
        for number, end in enumerate(self.ends):
            end.send((function, shared[number :: len(self.ends)]))
        return [result for end in self.ends for result in end.recv()]

    def close(self) -> None:
        for end in self.ends:
            end.send(None)
        for process in self.processes:
            process.join()
