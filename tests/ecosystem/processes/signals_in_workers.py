"""Workers with handlers of their own: SIGTERM ends them in order, SIGUSR1 asks, SIGINT is the program's alone."""

import os
import signal
import sys
import time
from multiprocessing import Event, Process, Queue


def worker(ready, lines, stop):
    def on_term(number, frame):
        lines.put(("cleaned up after", signal.Signals(number).name))
        lines.close()
        lines.join_thread()
        sys.exit(5)

    signal.signal(signal.SIGTERM, on_term)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGUSR1, lambda *_: lines.put("asked"))
    ready.set()
    while not stop.wait(0.05):
        pass
    lines.put("stopped by the event")


def start(lines, stop):
    ready = Event()
    p = Process(target=worker, args=(ready, lines, stop))
    p.start()
    ready.wait()
    return p


if __name__ == "__main__":
    lines, stop = Queue(), Event()
    first, second = start(lines, stop), start(lines, stop)
    os.kill(first.pid, signal.SIGINT)
    os.kill(first.pid, signal.SIGUSR1)
    print(lines.get(timeout=20), first.is_alive())
    first.terminate()
    print(lines.get(timeout=20))
    first.join()
    stop.set()
    print(lines.get(timeout=20))
    second.join()
    print(first.exitcode, second.exitcode)

    def alarmed(number, frame):
        raise TimeoutError("alarm")

    signal.signal(signal.SIGALRM, alarmed)
    signal.setitimer(signal.ITIMER_REAL, 0.1)
    began = time.monotonic()
    try:
        Queue().get()
    except TimeoutError as e:
        print(e, time.monotonic() - began < 10)
    sleeper = Process(target=time.sleep, args=(60,))
    sleeper.start()
    signal.setitimer(signal.ITIMER_REAL, 0.1)
    try:
        sleeper.join()
    except TimeoutError as e:
        print(e, sleeper.is_alive())
    sleeper.kill()
    sleeper.join()
