"""Phases that all processes begin together; a barrier that breaks."""

import multiprocessing
import threading


def phases(barrier, number, log, lock):
    for phase in range(3):
        with lock:
            log.put((phase, number))
        if barrier.wait(20) == 0:
            log.put((phase, "all here"))
        barrier.wait(20)


def breaks(barrier, answers):
    try:
        barrier.wait()
    except threading.BrokenBarrierError as e:
        answers.put(type(e).__name__)


if __name__ == "__main__":
    barrier, log, lock = multiprocessing.Barrier(3), multiprocessing.Queue(), multiprocessing.Lock()
    runners = [multiprocessing.Process(target=phases, args=(barrier, i, log, lock)) for i in range(3)]
    for r in runners:
        r.start()
    lines = [log.get(timeout=20) for _ in range(12)]
    for r in runners:
        r.join()
    print(sorted(lines, key=str))
    print(barrier.parties, barrier.n_waiting, barrier.broken)
    broken, answers = multiprocessing.Barrier(3), multiprocessing.Queue()
    waiting = [multiprocessing.Process(target=breaks, args=(broken, answers)) for _ in range(2)]
    for w in waiting:
        w.start()
    while broken.n_waiting < 2:
        waiting[0].join(0.01)
    broken.abort()
    print([answers.get(timeout=20) for _ in waiting], broken.broken)
    for w in waiting:
        w.join()
    broken.reset()
    print(broken.broken)
    try:
        broken.wait(0.02)
    except threading.BrokenBarrierError:
        print("too late")
