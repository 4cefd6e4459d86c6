"""sqlite3 from many threads: a connection each on one file, one for all behind a lock, a writer that is fed by a queue,
interrupts from another thread.
"""

from __future__ import annotations

import queue
import sqlite3
import threading
from concurrent.futures import Future, ThreadPoolExecutor

from engine import checked

SECONDS = 30


def opened() -> sqlite3.Connection:
    connection = sqlite3.connect("data.db", timeout=SECONDS, isolation_level=None)
    connection.execute("pragma synchronous = off")
    return connection


def each_its_own() -> None:
    with sqlite3.connect("data.db") as connection:
        connection.execute("pragma journal_mode = wal")
        connection.execute("create table item (id integer primary key, thread text, number int)")
        connection.execute("create table account (id integer primary key, balance int)")
        connection.executemany("insert into account values (?, 100)", [(number,) for number in range(5)])
    connection.close()
    store = threading.local()

    def begin() -> None:
        store.connection = opened()

    def add(number: int) -> None:
        store.connection.execute("insert into item (thread, number) values ('x', ?)", (number,))

    def move(number: int) -> None:
        store.connection.execute("begin immediate")
        (balance,) = store.connection.execute("select balance from account where id = ?", (number % 5,)).fetchone()
        store.connection.execute("update account set balance = ? where id = ?", (balance - 1, number % 5))
        store.connection.execute("update account set balance = balance + 1 where id = ?", ((number + 1) % 5,))
        store.connection.execute("commit")

    with ThreadPoolExecutor(6, initializer=begin) as pool:
        list(pool.map(add, range(300)))
        list(pool.map(move, range(150)))
        jobs = [pool.submit(lambda: store.connection.execute("select count(*) from item").fetchone()) for _ in range(6)]
        print({job.result() for job in jobs})
    connection = opened()
    print(connection.execute("select sum(number) from item").fetchone())
    print(connection.execute("select sum(balance), min(balance) from account").fetchone())
    connection.close()


def shared() -> None:
    connection = sqlite3.connect(":memory:", check_same_thread=False)
    lock = threading.RLock()
    connection.execute("create table count (name text primary key, value int)")

    def increase(name: str) -> None:
        with lock, connection:
            connection.execute("insert into count values (?, 1) on conflict do update set value = value + 1", (name,))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(increase, "abcd" * 100))
    print(connection.execute("select * from count order by name").fetchall())
    strict = sqlite3.connect(":memory:")
    with ThreadPoolExecutor(1) as pool:
        print(str(pool.submit(strict.execute, "select 1").exception()).partition(".")[0])
    strict.close()
    connection.close()


class Writer(threading.Thread):
    """The only thread that writes; others hand in statements and wait for their outcome."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.statements: queue.Queue[tuple[str, tuple, Future] | None] = queue.Queue(50)
        self.start()

    def run(self) -> None:
        connection = opened()
        for statement, values, future in iter(self.statements.get, None):
            try:
                future.set_result(connection.execute(statement, values).fetchall())
            except sqlite3.Error as e:
                future.set_exception(e)
        connection.close()

    def ask(self, statement: str, *values: object) -> Future:
        future: Future = Future()
        self.statements.put((statement, values, future))
        return future


def one_writer() -> None:
    writer = Writer()
    writer.ask("create table line (id int primary key)").result(SECONDS)
    with ThreadPoolExecutor(5) as pool:
        jobs = list(pool.map(lambda number: writer.ask("insert into line values (?)", number % 300), range(400)))
    errors = [str(error) for job in jobs if (error := job.exception(SECONDS))]
    print(len(errors), set(errors), writer.ask("select count(*) from line").result(SECONDS))
    writer.statements.put(None)
    writer.join(SECONDS)
    print(writer.is_alive())


def interrupted() -> None:
    connection = sqlite3.connect(":memory:", check_same_thread=False)
    begun = threading.Event()
    connection.create_function("begun", 0, begun.set)
    endless = "with recursive n(x) as (select begun() union all select x + 1 from n) select count(*) from n"

    def interrupt() -> None:
        begun.wait(SECONDS)
        connection.interrupt()

    thread = threading.Thread(target=interrupt)
    thread.start()
    try:
        connection.execute(endless).fetchall()
    except sqlite3.OperationalError as e:
        print(e)
    thread.join()
    connection.close()


@checked
def main() -> None:
    for part in (each_its_own, shared, one_writer, interrupted):
        part()


if __name__ == "__main__":
    main()
