"""One measurement in a process of its own: `python -m benchmarks.child WHO WORKLOAD SECONDS CORE LOAD_CORE FLOOR`.

Prints a JSON object: operations, seconds on the clock, seconds of CPU of the process measured, and what else there is
to say; or `null` where a peer does not have what the workload needs. Started by `measure.py`.
"""

import asyncio
import contextlib
import json
import os
import pathlib
import resource
import shutil
import subprocess
import sys

from . import shared, threaded
from .loops import LOOPS, LoopFactory
from .measured import Measured, repeat
from .peers import PEERS
from .serving import Generator, serve
from .workloads import Workload, every


def program(workload: Workload, factory: LoopFactory, seconds: float) -> Measured:
    """A coroutine function on one loop, again and again."""
    assert workload.program is not None
    body, loop = workload.program, factory()

    def batch(operations: int = workload.batch) -> int:
        loop.run_until_complete(body(operations))
        return operations

    batch(max(min(1000, workload.batch), workload.batch // 5))
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
    operations, took, *_ = repeat(batch, seconds)
    after = os.times()
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return Measured(operations, took, cpu)


def measure(workload: Workload, name: str, seconds: float, generator: Generator) -> Measured:
    """One measurement of the contender of that name."""
    if workload.kind in threaded.MEASURES:
        return threaded.MEASURES[workload.kind](workload, PEERS[name].things(), seconds)
    if workload.kind == "ipc":
        return shared.program(workload, shared.SHARED[name].things(), seconds)
    if workload.load:
        return serve(workload, name, generator)
    if workload.kind == "startup":
        return startup(workload, name, seconds)
    return (runs if workload.kind == "runs" else program)(workload, LOOPS[name].factory(), seconds)


def main() -> None:
    name, which, seconds, core, load_core, floor = sys.argv[1:]
    workload = every()[which]
    if not workload.everywhere:
        os.sched_setaffinity(0, {int(core)})
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    generator = Generator(floor, int(load_core), float(seconds))
    try:
        measured = measure(workload, name, float(seconds), generator)
    except NotImplementedError:
        if name.startswith("fenshen"):
            raise
        print("null")  # a peer that does not have what the workload needs
    else:
        print(json.dumps(measured._asdict()))


if __name__ == "__main__":
    main()
