"""One measurement in a process of its own: `python -m benchmarks.child LOOP WORKLOAD SECONDS CORE LOAD_CORE ECHO`.

Prints a JSON object: operations, seconds on the clock, seconds of CPU of this process. Started by `measure.py`.
"""

import asyncio
import contextlib
import gc
import json
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable

from .loops import LOOPS, LoopFactory
from .workloads import Workload, every
from .workloads.sockets import serve

CONNECTIONS, SIZE = 50, 1024

Measured = tuple[float, float, float]


def repeat(batch: Callable[[], int], seconds: float) -> Measured:
    """Run batches until that much time has passed: operations, seconds, CPU seconds."""
    gc.collect()
    operations, started, cpu = 0, time.perf_counter(), time.process_time()
    while (took := time.perf_counter() - started) < seconds:
        operations += batch()
    return operations, took, time.process_time() - cpu


def program(workload: Workload, factory: LoopFactory, seconds: float) -> Measured:
    """A coroutine function on one loop, again and again."""
    assert workload.program is not None
    body, loop = workload.program, factory()

    def batch(operations: int = workload.batch) -> int:
        loop.run_until_complete(body(operations))
        return operations

    batch(max(1000, workload.batch // 5))
    measured = repeat(batch, seconds)
    loop.close()
    return measured


def runs(workload: Workload, factory: LoopFactory, seconds: float) -> Measured:
    """A new loop for each coroutine, as `asyncio.run` makes it."""

    async def empty() -> None:
        pass

    def run() -> None:
        if sys.version_info >= (3, 11):
            with asyncio.Runner(loop_factory=factory) as runner:
                runner.run(empty())
        else:
            with contextlib.closing(factory()) as loop:
                asyncio.set_event_loop(loop)
                loop.run_until_complete(empty())
                loop.run_until_complete(loop.shutdown_asyncgens())
                loop.run_until_complete(loop.shutdown_default_executor())
                asyncio.set_event_loop(None)

    def batch() -> int:
        for _ in range(workload.batch):
            run()
        return workload.batch

    run()
    return repeat(batch, seconds)


def startup(workload: Workload, loop: str, seconds: float) -> Measured:
    """`python -c pass`, or `fenshen run -c pass`. The CPU counted is the children's."""
    command = [sys.executable, "-c", "pass"]
    if loop != "asyncio":
        script = shutil.which("fenshen", path=str(pathlib.Path(sys.executable).parent))
        command = [script, "run", "-c", "pass"] if script else [sys.executable, "-m", "fenshen", "run", "-c", "pass"]

    def batch() -> int:
        for _ in range(workload.batch):
            subprocess.run(command, check=True)
        return workload.batch

    batch()
    before = os.times()
    operations, took, _ = repeat(batch, seconds)
    after = os.times()
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return operations, took, cpu


def load(echo: str, port: int, seconds: float, core: int) -> "subprocess.Popen[str]":
    """The load generator, on its core."""
    words = [echo, "load", str(port), str(CONNECTIONS), str(SIZE), str(seconds)]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
    os.sched_setaffinity(process.pid, {core})
    return process


def counted(output: str, cpu: float) -> Measured:
    """What the load generator said. Its warm-up, a tenth, cost the server CPU that the count leaves out."""
    if not output:
        sys.exit("the load generator gave up: a connection was refused or closed")
    operations, seconds = map(float, output.split())
    return operations, seconds, cpu / 1.1


def echo_server(factory: LoopFactory, echo: str, seconds: float, load_core: int) -> Measured:
    """The loop under test serves here, the load comes from another process."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=256)
    listener.setblocking(False)
    loop = factory()

    async def main() -> str:
        with load(echo, listener.getsockname()[1], seconds, load_core) as process:
            assert process.stdout
            server = loop.create_task(serve(listener))
            output = await loop.run_in_executor(None, process.stdout.read)
        server.cancel()
        await asyncio.gather(server, return_exceptions=True)
        await asyncio.sleep(0.05)  # the connections end
        return output

    cpu = time.process_time()
    return counted(loop.run_until_complete(main()), time.process_time() - cpu)


def echo_floor(echo: str, seconds: float, load_core: int) -> Measured:
    """The same load on the server that is nothing but epoll."""
    with subprocess.Popen([echo, "serve"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdin
        assert server.stdout
        with load(echo, int(server.stdout.readline()), seconds, load_core) as process:
            assert process.stdout
            output = process.stdout.read()
        with open(f"/proc/{server.pid}/stat") as stat:
            ticks = stat.read().rpartition(")")[2].split()[11:13]
        server.stdin.close()
    return counted(output, sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK"))


def main() -> None:
    name, which, seconds, core, load_core, echo = sys.argv[1:]
    os.sched_setaffinity(0, {int(core)})
    workload = every()[which]
    if name == "floor":
        measured = echo_floor(echo, float(seconds), int(load_core))
    elif workload.kind == "startup":
        measured = startup(workload, name, float(seconds))
    else:
        factory = LOOPS[name].factory()
        if workload.kind == "echo":
            measured = echo_server(factory, echo, float(seconds), int(load_core))
        elif workload.kind == "runs":
            measured = runs(workload, factory, float(seconds))
        else:
            measured = program(workload, factory, float(seconds))
    operations, took, cpu = measured
    print(json.dumps({"operations": operations, "seconds": took, "cpu": cpu}))


if __name__ == "__main__":
    main()
