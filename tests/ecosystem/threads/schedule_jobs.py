"""schedule, run in a thread that an event stops, with jobs that are handed to workers by a queue."""

from __future__ import annotations

import queue
import threading
from datetime import timedelta

import schedule
from engine import checked

SECONDS = 30


def run_continuously(scheduler: schedule.Scheduler, interval: float) -> tuple[threading.Event, threading.Thread]:
    """The recipe of schedule's own documentation."""
    stop = threading.Event()

    class Running(threading.Thread):
        def run(self) -> None:
            while not stop.is_set():
                scheduler.run_pending()
                stop.wait(interval)

    thread = Running()
    thread.start()
    return stop, thread


@checked
def main() -> None:
    scheduler = schedule.Scheduler()
    jobs: queue.Queue[tuple[str, int] | None] = queue.Queue()
    done: queue.Queue[tuple[str, int]] = queue.Queue()

    def work() -> None:
        for job in iter(jobs.get, None):
            done.put(job)
            jobs.task_done()

    workers = [threading.Thread(target=work) for _ in range(3)]
    for worker in workers:
        worker.start()
    for number in range(10):
        job = scheduler.every(1).seconds.do(jobs.put, ("each second", number)).tag("often")
        job.next_run -= timedelta(seconds=1)

    def once() -> type[schedule.CancelJob]:
        jobs.put(("once", 0))
        return schedule.CancelJob

    scheduler.every().hour.do(once).next_run -= timedelta(hours=2)
    stop, thread = run_continuously(scheduler, 0.02)
    print(sorted(done.get(timeout=SECONDS) for _ in range(11))[-2:])
    print(len(scheduler.get_jobs()), sorted(done.get(timeout=SECONDS) for _ in range(10))[0])
    scheduler.clear("often")
    stop.set()
    thread.join(SECONDS)
    print(thread.is_alive(), scheduler.get_jobs(), scheduler.idle_seconds)
    jobs.join()
    for _ in workers:
        jobs.put(None)
    for worker in workers:
        worker.join()


if __name__ == "__main__":
    main()
