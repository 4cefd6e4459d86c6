"""Pools and threads: made in a thread that ends, forked among threads, inherited by a fork."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import threading
import time

from .. import tasks
from ..peers import SECONDS, Pool
from ..table import Peer, row
from ..telling import ALL_DONE, all_done, began, of_pool, submitted


@row("a pool made in a thread that ends, then used for 1,000 tasks", ALL_DONE)
def thread_that_ends(peer: Peer) -> str:
    pools: list[Pool] = []
    maker = threading.Thread(target=lambda: pools.append(began(peer())))
    maker.start()
    maker.join()
    time.sleep(0.3)  # what dies with the thread has died
    return all_done(pools[0], [submitted(pools[0], tasks.square, number) for number in range(1000)])


@row("fork among busy threads that log, import and allocate", ALL_DONE)
def threaded_program(peer: Peer) -> str:
    logging.getLogger("fault_table").addHandler(logging.FileHandler("log"))
    stop = threading.Event()

    def busy() -> None:
        while not stop.wait(0.001):
            tasks.logs(0)
            __import__("json.tool")
            bytearray(1 << 20)

    threads = [threading.Thread(target=busy, daemon=True) for _ in range(4)]
    for each in threads:
        each.start()
    try:
        pool = peer()
        words = all_done(pool, [submitted(pool, tasks.logs, number) for number in range(100)])
        for process in pool.pids():
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, 9)
            time.sleep(0.1)
        after = all_done(pool, [submitted(pool, tasks.logs, number) for number in range(100)])
        return words if words != ALL_DONE else after
    finally:
        stop.set()


@row("the program forks, and the child ends by itself", "child ends, pool lives")
def program_forks(peer: Peer) -> str:
    pool = began(peer())
    pending = [submitted(pool, tasks.pause, 0.3, number) for number in range(4)]
    child = os.fork()
    if child == 0:
        sys.exit(0)  # the ordinary end, with every exit handler
    until = time.monotonic() + SECONDS
    while os.waitpid(child, os.WNOHANG)[0] == 0:
        if time.monotonic() > until:
            os.kill(child, 9)
            return f"child hangs, {of_pool(pool)}"
        time.sleep(0.01)
    words = all_done(pool, pending)
    return "child ends, pool lives" if words == ALL_DONE else f"child ends, {words}"
