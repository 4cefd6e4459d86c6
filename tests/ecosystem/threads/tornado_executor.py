"""tornado's run_on_executor, and its loop called from threads."""

from __future__ import annotations

import asyncio
import threading
import time
from concurrent.futures import ThreadPoolExecutor

from engine import checked
from tornado import gen, httpclient, web
from tornado.concurrent import run_on_executor
from tornado.httpserver import HTTPServer
from tornado.ioloop import IOLoop
from tornado.testing import bind_unused_port

SECONDS = 30


class Slow:
    """Work in a pool of its own."""

    def __init__(self) -> None:
        self.executor = ThreadPoolExecutor(4, "slow")
        self.other = ThreadPoolExecutor(1, "other")

    @run_on_executor
    def square(self, number: int) -> tuple[int, str]:
        time.sleep(0.001)
        return number * number, threading.current_thread().name.partition("_")[0]

    @run_on_executor(executor="other")
    def fail(self) -> None:
        raise LookupError(threading.current_thread().name)


class Page(web.RequestHandler):
    slow = Slow()

    async def get(self, number: str) -> None:
        found, name = await self.slow.square(int(number))
        self.write(f"{found} {name}")


async def served() -> None:
    listener, port = bind_unused_port()
    server = HTTPServer(web.Application([(r"/(\d+)", Page)]))
    server.add_socket(listener)
    client = httpclient.AsyncHTTPClient(max_clients=20)
    answers = await asyncio.gather(*(client.fetch(f"http://127.0.0.1:{port}/{n}") for n in range(60)))
    print([answer.body for answer in answers] == [b"%d slow" % (n * n) for n in range(60)])
    server.stop()
    await server.close_all_connections()
    client.close()


async def called() -> None:
    slow, loop = Slow(), IOLoop.current()
    try:
        await slow.fail()
    except LookupError as e:
        print(repr(e))
    done, seen = asyncio.Event(), []

    def call(number: int) -> None:
        loop.add_callback(seen.append, number)

    threads = [threading.Thread(target=lambda: [call(number) for number in range(50)]) for _ in range(3)]
    for thread in threads:
        thread.start()
    await loop.run_in_executor(None, lambda: [thread.join() for thread in threads])
    loop.add_callback_from_signal(done.set)
    await done.wait()
    print(len(seen), sum(seen))
    print(await gen.multi([loop.run_in_executor(None, pow, 2, number) for number in range(5)]))
    try:
        await gen.with_timeout(loop.time() + 0.01, loop.run_in_executor(None, time.sleep, 0.1))
    except gen.TimeoutError as e:
        print(repr(e))


@checked
def main() -> None:
    asyncio.run(served())
    asyncio.run(called())


if __name__ == "__main__":
    main()
