"""requests in a ThreadPoolExecutor: one session for all, one for each thread, streams, retries, time limits, hooks."""

from __future__ import annotations

import collections
import random
import threading
from concurrent.futures import ThreadPoolExecutor, as_completed

import requests
from engine import checked
from local_server import serving
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

SECONDS = 30
LARGE = random.Random(4).randbytes(1 << 20)


def shared(url: str) -> None:
    counts: collections.Counter[int] = collections.Counter()
    lock = threading.Lock()

    def count(answer: requests.Response, **_: object) -> None:
        with lock:
            counts[answer.status_code] += 1

    with requests.Session() as session, ThreadPoolExecutor(10) as pool:
        session.mount("http://", HTTPAdapter(pool_connections=2, pool_maxsize=10, pool_block=True))
        session.hooks["response"].append(count)
        jobs = {pool.submit(session.get, f"{url}/page/{number}", timeout=SECONDS): number for number in range(200)}
        print(all(job.result().text == f"/page/{jobs[job]}" for job in as_completed(jobs)))
        print(pool.submit(session.get, f"{url}/redirect").result().url.removeprefix(url), dict(counts))
        try:
            pool.submit(lambda: session.get(f"{url}/fail").raise_for_status()).result()
        except requests.HTTPError as e:
            print(e.response.status_code)


def each_its_own(url: str) -> None:
    store = threading.local()

    def begin() -> None:
        store.session = requests.Session()

    def post(number: int) -> bool:
        data = LARGE[: number * 20_000]
        with store.session.post(url, data=data, stream=True, timeout=SECONDS) as answer:
            return b"".join(answer.iter_content(5000)) == data

    with ThreadPoolExecutor(6, initializer=begin) as pool:
        print(sum(pool.map(post, range(40))))


def troubled(url: str) -> None:
    with requests.Session() as session, ThreadPoolExecutor(4) as pool:
        session.mount("http://", HTTPAdapter(max_retries=Retry(2, backoff_factor=0.01, status_forcelist=[500])))
        jobs = {
            path: pool.submit(session.get, url + path, timeout=limit)
            for path, limit in (("/fail", SECONDS), ("/close", SECONDS), ("/never", 0.02))
        }
        for path, job in jobs.items():
            print(path, type(job.exception(SECONDS)).__name__)
        print(pool.submit(session.get, f"{url}/after").result().text)


@checked
def main() -> None:
    with serving() as server:
        shared(server.url)
        print(server.connections <= 12)
        each_its_own(server.url)
        troubled(server.url)


if __name__ == "__main__":
    main()
