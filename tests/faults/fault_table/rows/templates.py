"""The death of what workers are forked from."""

from __future__ import annotations

import contextlib
import os
import signal
import time

from .. import tasks
from ..marks import MARK, marked, named
from ..peers import Lacks
from ..table import Peer, row
from ..telling import ALL_DONE, all_done, began, submitted, wait_for


@row("the template or fork server SIGKILLed, then a worker", ALL_DONE)
def template_killed(peer: Peer) -> str:
    pool = began(peer())
    workers = pool.pids()
    others = [each for each in marked(os.environ[MARK]) if each not in workers]
    templates = [each for each in others if "resource_tracker" not in named(each)]
    if not templates:
        raise Lacks("a template")
    handles = [submitted(pool, tasks.pause, 0.05, number) for number in range(20)]
    for process in templates:
        os.kill(process, signal.SIGKILL)
    handles += [submitted(pool, tasks.pause, 0.05, number) for number in range(10)]
    words = all_done(pool, handles)
    if words != ALL_DONE:
        return words
    time.sleep(0.2)
    with contextlib.suppress(ProcessLookupError):
        os.kill(workers[0], signal.SIGKILL)
    words = all_done(pool, [submitted(pool, tasks.pause, 0.05, number) for number in range(20)])
    wait_for(lambda: words != ALL_DONE or (workers[0] not in pool.pids() and len(pool.pids()) == 2))
    return words
