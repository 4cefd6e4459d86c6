"""APScheduler's BackgroundScheduler: intervals, dates, a crowd of jobs, pauses, failures, listeners, misfires."""

from __future__ import annotations

import logging
import queue
import threading
from datetime import datetime, timedelta

from apscheduler.events import EVENT_JOB_ERROR, EVENT_JOB_EXECUTED, EVENT_JOB_MAX_INSTANCES
from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.jobstores.base import JobLookupError
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.schedulers.blocking import BlockingScheduler
from engine import checked

SECONDS = 30


def soon(seconds: float = 0.02) -> datetime:
    return datetime.now() + timedelta(seconds=seconds)


def fail() -> None:
    raise LookupError("as asked")


def in_background() -> None:
    scheduler = BackgroundScheduler(
        executors={"default": ThreadPoolExecutor(4)}, job_defaults={"misfire_grace_time": 60}
    )
    ran: queue.Queue[str] = queue.Queue()
    ended: queue.Queue[tuple[str, str, str]] = queue.Queue()
    ticks = threading.Semaphore(0)
    listened = EVENT_JOB_EXECUTED | EVENT_JOB_ERROR

    def note(happened: object) -> None:
        if happened.job_id in ("once", "fails"):
            ended.put((happened.job_id, repr(happened.retval), repr(happened.exception)))

    scheduler.add_listener(note, listened)
    scheduler.start()
    scheduler.add_job(ticks.release, "interval", seconds=0.02, id="ticks")
    scheduler.add_job(pow, "date", run_date=soon(), args=(2, 5), id="once")
    print(ended.get(timeout=SECONDS))
    scheduler.add_job(fail, "date", run_date=soon(), id="fails")
    print(ended.get(timeout=SECONDS))
    print(all(ticks.acquire(timeout=SECONDS) for _ in range(5)))
    for number in range(60):
        scheduler.add_job(ran.put, "date", run_date=soon(0.01 * (number % 5)), args=(f"job {number}",))
    print(sorted(ran.get(timeout=SECONDS) for _ in range(60)) == sorted(f"job {number}" for number in range(60)))
    scheduler.pause_job("ticks")
    print(scheduler.get_job("ticks").next_run_time)
    scheduler.resume_job("ticks")
    print(ticks.acquire(timeout=SECONDS), [job.id for job in scheduler.get_jobs()])
    scheduler.remove_job("ticks")
    try:
        scheduler.remove_job("ticks")
    except JobLookupError as e:
        print(e)
    scheduler.shutdown()
    print(scheduler.running, threading.active_count())


def too_many() -> None:
    """A job that is still at it when its time comes again."""
    scheduler = BackgroundScheduler()
    gate, said = threading.Event(), threading.Event()
    scheduler.add_listener(lambda _: said.set(), EVENT_JOB_MAX_INSTANCES)
    scheduler.add_job(gate.wait, "interval", seconds=0.02, max_instances=1)
    scheduler.start()
    print(said.wait(SECONDS))
    gate.set()
    scheduler.shutdown(wait=True)


def blocking() -> None:
    """The main thread is the scheduler; a job ends it."""
    scheduler = BlockingScheduler()
    seen: list[int] = []

    def step() -> None:
        seen.append(len(seen))
        if len(seen) == 3:
            threading.Thread(target=scheduler.shutdown).start()

    scheduler.add_job(step, "interval", seconds=0.02)
    scheduler.start()
    print(seen[:3])


@checked
def main() -> None:
    logging.getLogger("apscheduler").setLevel(logging.CRITICAL)
    for part in (in_background, too_many, blocking):
        part()


if __name__ == "__main__":
    main()
