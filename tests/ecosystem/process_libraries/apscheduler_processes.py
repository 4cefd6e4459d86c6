"""apscheduler's ProcessPoolExecutor: jobs run in processes, their results are told by events."""

import logging
import os
import threading

from apscheduler.events import EVENT_JOB_ERROR, EVENT_JOB_EXECUTED
from apscheduler.executors.pool import ProcessPoolExecutor
from apscheduler.schedulers.background import BackgroundScheduler

logging.disable()


def job(number):
    if number == 2:
        raise ValueError("two")
    return number * 100, os.getpid()


def main():
    scheduler = BackgroundScheduler(executors={"default": ProcessPoolExecutor(2)}, timezone="UTC")
    results, enough = {}, threading.Event()

    def on_event(event):
        results[event.job_id] = event.retval or repr(event.exception)
        if len(results) == 4:
            enough.set()

    scheduler.add_listener(on_event, EVENT_JOB_EXECUTED | EVENT_JOB_ERROR)
    for number in range(4):
        scheduler.add_job(job, args=[number], id=f"job-{number}", misfire_grace_time=None)
    scheduler.start()
    print(enough.wait(60))
    scheduler.shutdown()
    for name, result in sorted(results.items()):
        print(name, result if isinstance(result, str) else (result[0], result[1] != os.getpid()))


if __name__ == "__main__":
    main()
