"""tenacity among threads: retries that sleep on an event, that count, that give up; a state for each thread."""

from __future__ import annotations

import collections
import threading
from concurrent.futures import ThreadPoolExecutor

import tenacity
from engine import checked
from tenacity import RetryError, Retrying, retry, retry_if_result, stop_after_attempt, wait_fixed, wait_random


@checked
def main() -> None:
    tries: collections.Counter[int] = collections.Counter()
    lock = threading.Lock()

    @retry(stop=stop_after_attempt(4), wait=wait_random(0, 0.005))
    def flaky(number: int) -> int:
        with lock:
            tries[number] += 1
            if tries[number] < number % 4 + 1:
                raise ConnectionError(number)
        return number

    with ThreadPoolExecutor(8) as pool:
        print(sum(pool.map(flaky, range(100))), sum(tries.values()))

    @retry(stop=stop_after_attempt(3), wait=wait_fixed(0.001))
    def fail(number: int) -> None:
        raise LookupError(number)

    with ThreadPoolExecutor(8) as pool:
        errors = [pool.submit(fail, number).exception() for number in range(10)]
    print({type(error) for error in errors} == {RetryError}, errors[3].last_attempt.attempt_number)
    print(repr(errors[3].last_attempt.exception()), errors[3].last_attempt.failed)
    ready = threading.Event()
    threading.Timer(0.05, ready.set).start()
    polled = Retrying(retry=retry_if_result(lambda found: not found), wait=wait_fixed(0.005))
    print(polled(ready.is_set), polled.statistics["attempt_number"] > 1)
    stop = threading.Event()
    until_stopped = Retrying(
        stop=tenacity.stop_when_event_set(stop), sleep=tenacity.sleep_using_event(stop), wait=wait_fixed(60)
    )
    threading.Timer(0.02, stop.set).start()
    try:
        until_stopped(fail.__wrapped__, 1)
    except RetryError as e:
        print(e.last_attempt.attempt_number)
    for attempt in Retrying(stop=stop_after_attempt(5), reraise=True):
        with attempt:
            if attempt.retry_state.attempt_number < 3:
                raise ConnectionError
    print(attempt.retry_state.attempt_number)


if __name__ == "__main__":
    main()
