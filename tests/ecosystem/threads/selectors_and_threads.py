"""A loop on `selectors` in one thread, woken through a socket pair; others give it jobs and wait for its answers."""

from __future__ import annotations

import queue
import selectors
import socket
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

from engine import checked

SECONDS = 30


class Reactor(threading.Thread):
    """Serves an echo, and runs what other threads hand in."""

    def __init__(self) -> None:
        super().__init__(name="reactor")
        self.selector = selectors.DefaultSelector()
        self.inner, self.outer = socket.socketpair()
        self.inner.setblocking(False)
        self.jobs: queue.SimpleQueue[tuple[Future, Callable[[], object]] | None] = queue.SimpleQueue()
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.listener.setblocking(False)
        self.accepted = 0
        self.selector.register(self.inner, selectors.EVENT_READ, self.take)
        self.selector.register(self.listener, selectors.EVENT_READ, self.accept)
        self.running = True

    def submit(self, job: Callable[[], object]) -> Future:
        future: Future = Future()
        self.jobs.put((future, job))
        self.outer.send(b".")
        return future

    def stop(self) -> None:
        self.jobs.put(None)
        self.outer.send(b".")
        self.join(SECONDS)

    def take(self) -> None:
        self.inner.recv(4096)
        while True:
            try:
                item = self.jobs.get_nowait()
            except queue.Empty:
                return
            if item is None:
                self.running = False
                return
            future, job = item
            if future.set_running_or_notify_cancel():
                try:
                    future.set_result(job())
                except Exception as e:
                    future.set_exception(e)

    def accept(self) -> None:
        connection, _ = self.listener.accept()
        self.accepted += 1

        def answer() -> None:
            data = connection.recv(1 << 16)
            if data:
                connection.sendall(data.upper())
            else:
                self.selector.unregister(connection)
                connection.close()

        self.selector.register(connection, selectors.EVENT_READ, answer)

    def run(self) -> None:
        while self.running:
            for key, _ in self.selector.select():
                key.data()
        self.selector.close()
        for each in (self.inner, self.outer, self.listener):
            each.close()


def talk(port: int, number: int) -> int:
    right = 0
    with socket.create_connection(("127.0.0.1", port), SECONDS) as client:
        for step in range(50):
            data = b"client %d step %d" % (number, step)
            client.sendall(data)
            right += client.recv(1000) == data.upper()
    return right


@checked
def main() -> None:
    reactor = Reactor()
    port = reactor.listener.getsockname()[1]
    reactor.start()
    with ThreadPoolExecutor(10) as pool:
        talks = [pool.submit(talk, port, number) for number in range(20)]
        jobs = list(pool.map(lambda number: reactor.submit(lambda: number * number), range(500)))
        print(sum(job.result(SECONDS) for job in jobs), sum(job.result() for job in talks))
    print({reactor.submit(lambda: threading.current_thread().name).result() for _ in range(10)})
    print(repr(reactor.submit(lambda: 1 / 0).exception(SECONDS)))
    dropped = reactor.submit(lambda: None)
    print(dropped.cancel() in (True, False), reactor.submit(lambda: reactor.accepted).result())
    reactor.stop()
    print(reactor.is_alive())


if __name__ == "__main__":
    main()
