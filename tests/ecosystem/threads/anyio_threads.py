"""anyio's threads: to_thread with a limiter, cancels, from_thread, a portal that other threads use; Starlette's views,
background tasks and test client, which are built on these.
"""

from __future__ import annotations

import contextvars
import threading
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import asynccontextmanager
from functools import partial

import anyio
from anyio import CapacityLimiter, from_thread, to_thread
from engine import checked
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.concurrency import iterate_in_threadpool, run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.routing import Route
from starlette.testclient import TestClient

SECONDS = 30
user: contextvars.ContextVar[str] = contextvars.ContextVar("user", default="nobody")


async def to_threads() -> None:
    user.set("ann")
    limiter, lock, inside, most = CapacityLimiter(3), threading.Lock(), 0, 0

    def work(number: int) -> None:
        nonlocal inside, most
        with lock:
            inside += 1
            most = max(most, inside)
        time.sleep(0.002)
        with lock:
            inside -= 1

    async with anyio.create_task_group() as group:
        for number in range(30):
            group.start_soon(partial(to_thread.run_sync, work, number, limiter=limiter))
    print(most <= 3, inside, limiter.borrowed_tokens, await to_thread.run_sync(user.get))
    try:
        await to_thread.run_sync(int, "none")
    except ValueError as e:
        print(e)
    gate = threading.Event()
    with anyio.move_on_after(0.02) as scope:
        await to_thread.run_sync(gate.wait, abandon_on_cancel=True)
    gate.set()
    print(scope.cancelled_caught)

    async def answer(number: int) -> int:
        await anyio.sleep(0)
        return number * 2

    def ask() -> list[object]:
        from_thread.check_cancelled()
        return [from_thread.run(answer, 4), from_thread.run_sync(threading.current_thread).name]

    print(await to_thread.run_sync(ask))


@asynccontextmanager
async def resource(name: str):
    print("in", name)
    yield name
    print("out", name)


def portals() -> None:
    async def late(number: int) -> int:
        await anyio.sleep(0.005)
        return number

    with from_thread.start_blocking_portal() as portal:
        print(portal.call(late, 3))
        with ThreadPoolExecutor(6) as pool:
            print(sum(pool.map(lambda number: portal.call(late, number), range(60))))
        jobs = [portal.start_task_soon(late, number) for number in range(20)]
        print(sum(job.result() for job in as_completed(jobs, SECONDS)))
        stuck = portal.start_task_soon(anyio.sleep_forever)
        print(stuck.cancel(), stuck.cancelled())
        with portal.wrap_async_context_manager(resource("r")) as name:
            print(name)


def view(request: Request) -> PlainTextResponse:
    time.sleep(0.001)
    done = BackgroundTask(finished.release)
    return PlainTextResponse(request.path_params["name"] + threading.current_thread().name[:6], background=done)


async def stream(_: Request) -> StreamingResponse:
    lines = await run_in_threadpool(lambda: (f"{number}\n" for number in range(200)))
    return StreamingResponse(iterate_in_threadpool(lines))


finished = threading.Semaphore(0)


def served() -> None:
    with TestClient(Starlette(routes=[Route("/stream", stream), Route("/{name}", view)])) as client:
        with ThreadPoolExecutor(6) as pool:
            texts = {answer.text[:7] for answer in pool.map(client.get, [f"/{n % 10}" for n in range(60)])}
        print(sorted(texts)[:2], len(texts), all(finished.acquire(timeout=SECONDS) for _ in range(60)))
        print(len(client.get("/stream").text.split()))


@checked
def main() -> None:
    anyio.run(to_threads)
    portals()
    served()
    deadline = time.monotonic() + SECONDS
    while threading.active_count() > 1 and time.monotonic() < deadline:
        time.sleep(0.01)  # its workers end by themselves
    print(threading.active_count())


if __name__ == "__main__":
    main()
