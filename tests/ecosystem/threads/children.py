"""subprocess from many threads: pumps into queues, timeouts, and forks while other threads hold locks."""

from __future__ import annotations

import os
import queue
import subprocess
import sys
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor

from engine import checked

SECONDS = 30
# A child that is quick to start: it imports nothing of ours and no site.
PYTHON = [sys.executable, "-I", "-S", "-c"]
CAT = ["cat"]


def many() -> None:
    data = os.urandom(300_000)

    def copy(number: int) -> bool:
        done = subprocess.run(CAT, input=data[number:], capture_output=True, timeout=SECONDS, check=True)
        return done.stdout == data[number:] and done.stderr == b""

    with ThreadPoolExecutor(6) as pool:
        print(sum(pool.map(copy, range(24))))


def pumped() -> None:
    """The recipe of every runner of commands: a thread a stream, one queue, a sentinel each."""
    lines: queue.Queue[tuple[str, str | None]] = queue.Queue(maxsize=8)
    code = "import sys\nfor n in range(200): print(n); print(-n, file=sys.stderr)"
    child = subprocess.Popen([*PYTHON, code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def pump(name: str, stream: object) -> None:
        for line in stream:  # type: ignore[attr-defined]
            lines.put((name, line.strip()))
        lines.put((name, None))

    pumps = [
        threading.Thread(target=pump, args=("out", child.stdout), daemon=True),
        threading.Thread(target=pump, args=("err", child.stderr), daemon=True),
    ]
    for each in pumps:
        each.start()
    seen: dict[str, list[int]] = {"out": [], "err": []}
    open_ones = 2
    while open_ones:
        name, line = lines.get(timeout=SECONDS)
        if line is None:
            open_ones -= 1
        else:
            seen[name].append(int(line))
    print(seen["out"] == list(range(200)), seen["err"] == [-n for n in range(200)], child.wait(SECONDS))
    child.stdout.close()
    child.stderr.close()


def timed_out() -> None:
    def wait() -> str:
        try:
            subprocess.run(["sleep", "100"], timeout=0.1, check=True)
        except subprocess.TimeoutExpired as e:
            return str(e)[:34]
        return "ended"

    with ThreadPoolExecutor(4) as pool:
        print(set(pool.map(lambda _: wait(), range(4))))
    child = subprocess.Popen(["sleep", "100"])
    threading.Timer(0.05, child.kill).start()
    with ThreadPoolExecutor(3) as pool:  # several threads may wait for one child
        print(set(pool.map(lambda _: child.wait(SECONDS), range(3))))


def forked() -> None:
    """A child forked while other threads hold locks and wait: its own work goes on there."""
    warnings.simplefilter("ignore", DeprecationWarning)  # of forks in a process with threads, from 3.12 on
    ready, stop, work = threading.Barrier(4), threading.Event(), queue.Queue()
    lock = threading.RLock()

    def hold() -> None:
        with lock:
            ready.wait()
            stop.wait()

    def take() -> None:
        ready.wait()
        while work.get() is not None:
            pass

    threads = [threading.Thread(target=hold), threading.Thread(target=take), threading.Thread(target=take)]
    for thread in threads:
        thread.start()
    ready.wait()
    pid = os.fork()
    if not pid:
        found: queue.Queue[int] = queue.Queue()
        thread = threading.Thread(target=found.put, args=(5,))
        thread.start()
        fresh = threading.Condition()
        with fresh, ThreadPoolExecutor(2) as pool:
            right = sum(pool.map(len, ["a", "bc"])) + found.get(timeout=SECONDS) == 8
        thread.join(SECONDS)
        os._exit(0 if right and threading.active_count() == 1 and not lock.acquire(blocking=False) else 1)
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
    stop.set()
    work.put(None)
    work.put(None)
    for thread in threads:
        thread.join()


@checked
def main() -> None:
    for part in (many, pumped, timed_out, forked):
        part()


if __name__ == "__main__":
    main()
