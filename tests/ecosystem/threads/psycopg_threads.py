"""psycopg_pool URL: a pool whose workers, scheduler and clients are threads; waits, time limits, lost connections, a
null pool, notifications.
"""

from __future__ import annotations

import logging
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import psycopg
import psycopg_pool
from engine import checked
from psycopg_pool import ConnectionPool, NullConnectionPool

SECONDS = 30


def crowded(url: str) -> None:
    with ConnectionPool(url, min_size=2, max_size=4, timeout=SECONDS) as pool:
        pool.wait(SECONDS)

        def ask(number: int) -> int:
            with pool.connection() as connection:
                return connection.execute("select %s::int + 1", [number]).fetchone()[0]

        with ThreadPoolExecutor(16) as threads:
            print(list(threads.map(ask, range(300))) == list(range(1, 301)))
        stats = pool.get_stats()
        print(stats["requests_num"], stats["pool_size"] <= 4, stats.get("requests_errors", 0))
        with pool.connection() as connection:
            connection.execute("drop table if exists account")
            connection.execute("create table account (id int primary key, balance int)")
            connection.execute("insert into account values (1, 0)")

        def add(_: int) -> None:
            with pool.connection() as connection, connection.transaction():
                connection.execute("update account set balance = balance + 1 where id = 1")

        with ThreadPoolExecutor(8) as threads:
            list(threads.map(add, range(100)))
        with pool.connection() as connection:
            print(connection.execute("select balance from account").fetchone())


def late(url: str) -> None:
    with ConnectionPool(url, min_size=1, max_size=1, max_waiting=1, timeout=SECONDS) as pool:
        held = pool.getconn()
        waited = []
        waiting = threading.Thread(target=lambda: waited.append(pool.getconn()))
        waiting.start()
        while not pool.get_stats().get("requests_waiting"):
            time.sleep(0.002)
        try:
            pool.getconn()
        except psycopg_pool.TooManyRequests as e:
            print(type(e).__name__)
        pool.putconn(held)
        waiting.join(SECONDS)
        print(waited == [held])
        waited[0].execute("begin")
        pool.putconn(waited[0])
        with pool.connection() as connection:
            print(connection.info.transaction_status.name)
            psycopg.connect(url, autocommit=True).execute(
                "select pg_terminate_backend(%s)", [connection.info.backend_pid]
            )
            try:
                connection.execute("select 1")
            except psycopg.OperationalError as e:
                print(type(e).__name__)
        with pool.connection() as connection:
            print(connection.execute("select 'a new one'").fetchone())
            try:
                pool.getconn(timeout=0.05)
            except psycopg_pool.PoolTimeout as e:
                print(e)
    try:
        pool.getconn()
    except psycopg_pool.PoolClosed as e:
        print(type(e).__name__)


def null(url: str) -> None:
    with NullConnectionPool(url, max_size=3, timeout=SECONDS) as pool, ThreadPoolExecutor(8) as threads:

        def ask(number: int) -> int:
            with pool.connection() as connection:
                return connection.execute("select %s::int", [number]).fetchone()[0]

        print(sum(threads.map(ask, range(40))))


def notified(url: str) -> None:
    ready, seen = threading.Event(), []

    def listen() -> None:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("listen news")
            ready.set()
            for notification in connection.notifies(timeout=SECONDS, stop_after=3):
                seen.append(notification.payload)

    thread = threading.Thread(target=listen)
    thread.start()
    ready.wait(SECONDS)
    with psycopg.connect(url, autocommit=True) as connection:
        for number in range(3):
            connection.execute("select pg_notify('news', %s)", [str(number)])
    thread.join(SECONDS)
    print(seen)


@checked
def main() -> None:
    logging.getLogger("psycopg.pool").setLevel(logging.CRITICAL)
    for part in (crowded, late, null, notified):
        part(sys.argv[1])
    print(threading.active_count())


if __name__ == "__main__":
    main()
