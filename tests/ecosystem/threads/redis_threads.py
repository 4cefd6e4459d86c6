"""redis-py URL in threads: a pool that blocks, locks, pipelines, publish and subscribe in a thread of its own."""

from __future__ import annotations

import queue
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import redis
from engine import checked
from redis.backoff import NoBackoff
from redis.retry import Retry

SECONDS = 30


def blocking(url: str) -> redis.Redis:
    pool = redis.BlockingConnectionPool.from_url(url, max_connections=3, timeout=SECONDS, retry=Retry(NoBackoff(), 0))
    client = redis.Redis(connection_pool=pool)
    client.flushall()

    def work(number: int) -> int:
        client.incr("total")
        with client.pipeline() as pipe:
            return pipe.set(f"key {number}", number).get(f"key {number}").execute()[1] == b"%d" % number

    with ThreadPoolExecutor(12) as threads:
        print(sum(threads.map(work, range(300))), client.get("total"), type(pool.pool).__name__, pool.pool.maxsize)
    short = redis.BlockingConnectionPool.from_url(url, max_connections=1, timeout=0.05, queue_class=queue.Queue)
    held = short.get_connection()
    try:
        short.get_connection()
    except redis.ConnectionError as e:
        print(e)
    threading.Timer(0.01, short.release, (held,)).start()
    print(short.get_connection() is held)
    short.disconnect()
    return client


def locked(client: redis.Redis) -> None:
    def add(_: int) -> None:
        with client.lock("lock", timeout=SECONDS, sleep=0.001, blocking_timeout=SECONDS):
            client.set("plain", int(client.get("plain") or 0) + 1)

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(add, range(40)))
    print(client.get("plain"))
    lock = client.lock("other", timeout=SECONDS)
    print(lock.acquire(), client.lock("other").acquire(blocking=False), lock.release())


def subscribed(client: redis.Redis) -> None:
    seen: queue.Queue[bytes] = queue.Queue()
    ready = threading.Event()
    subscriber = client.pubsub(ignore_subscribe_messages=False)
    subscriber.subscribe(news=lambda message: seen.put(message["data"]), ready=lambda _: ready.set())
    thread = subscriber.run_in_thread(sleep_time=0.01)
    while not ready.is_set():
        client.publish("ready", "?")
        ready.wait(0.01)
    with ThreadPoolExecutor(3) as threads:
        list(threads.map(lambda number: client.publish("news", number), range(30)))
    print(sorted(int(seen.get(timeout=SECONDS)) for _ in range(30)) == list(range(30)))
    thread.stop()
    thread.join(SECONDS)
    print(thread.is_alive())


def popped(client: redis.Redis) -> None:
    jobs: queue.Queue[bytes] = queue.Queue()

    def work() -> None:
        while (job := client.blpop("jobs", timeout=SECONDS)) and job[1] != b"stop":
            jobs.put(job[1])

    workers = [threading.Thread(target=work) for _ in range(2)]
    for worker in workers:
        worker.start()
    client.rpush("jobs", *range(100), "stop", "stop")
    for worker in workers:
        worker.join(SECONDS)
    print(sum(int(jobs.get_nowait()) for _ in range(100)))


@checked
def main() -> None:
    client = blocking(sys.argv[1])
    for part in (locked, subscribed, popped):
        part(client)
    client.close()


if __name__ == "__main__":
    main()
