"""Child processes: how many a second, and how much goes through their pipes."""

import asyncio
import asyncio.subprocess

from .. import BEST_PEER, Target, Workload

MIB = 1 << 20
BLOCK = bytes(256 * 1024)


async def spawn(operations: int) -> None:
    """One after another, each waited for."""
    for _ in range(operations):
        process = await asyncio.create_subprocess_exec("/bin/true")
        assert await process.wait() == 0


async def cat(operations: int) -> None:
    """An operation is a mebibyte that goes into `cat` and comes back."""
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec("cat", stdin=pipe, stdout=pipe)
    assert process.stdin
    assert process.stdout
    writer, reader = process.stdin, process.stdout

    async def feed() -> None:
        for _ in range(operations * MIB // len(BLOCK)):
            writer.write(BLOCK)
            await writer.drain()
        writer.close()

    feeding = asyncio.ensure_future(feed())
    received = 0
    while data := await reader.read(len(BLOCK)):
        received += len(data)
    await feeding
    assert received == operations * MIB
    assert await process.wait() == 0


WORKLOADS = [
    Workload("spawn_process", "create_subprocess_exec('/bin/true')", 50, Target(1, BEST_PEER), spawn, unit="processes"),
    Workload("cat", "through cat and back", 128, Target(1, BEST_PEER), cat, unit="MiB"),
]
