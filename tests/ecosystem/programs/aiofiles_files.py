"""aiofiles: text and bytes, lines, seeking, many files at once, temporary files, os, a cancel, errors, a pipe."""

from __future__ import annotations

import asyncio
import hashlib
import os
import time

import aiofiles
import aiofiles.os
import aiofiles.tempfile
from loops import checked


async def texts() -> None:
    async with aiofiles.open("text", "w", encoding="utf-8") as file:
        await file.writelines(f"line {n} 分身\n" for n in range(1000))
        print(await file.tell())
    async with aiofiles.open("text", encoding="utf-8") as file:
        print(await file.readline(), [line async for line in file][-1])
        await file.seek(0)
        print(await file.read(4), len(await file.readlines()))
    print((await aiofiles.os.stat("text")).st_size, await aiofiles.os.path.exists("none"))
    for broken in (aiofiles.open("none"), aiofiles.open(".", "wb")):
        try:
            async with broken:
                pass
        except OSError as e:
            print(type(e).__name__, e)


async def together() -> None:
    async def write_and_read(number: int) -> str:
        data = hashlib.sha256(str(number).encode()).digest() * 20_000
        async with aiofiles.open(f"file {number}", "wb") as file:
            for start in range(0, len(data), 100_000):
                await file.write(data[start : start + 100_000])
        async with aiofiles.open(f"file {number}", "rb") as file:
            assert await file.read() == data
        await aiofiles.os.rename(f"file {number}", f"renamed {number}")
        return hashlib.sha256(data).hexdigest()

    sums = await asyncio.gather(*(write_and_read(number) for number in range(100)))
    print(hashlib.sha256("".join(sums).encode()).hexdigest()[:16], len(await aiofiles.os.listdir(".")))


async def temporary() -> None:
    temp = aiofiles.tempfile
    async with temp.TemporaryDirectory() as folder, temp.NamedTemporaryFile("wb+", dir=folder) as file:
        await file.write(b"some\nlines\n")
        await file.flush()
        await file.seek(0)
        print([line async for line in file], os.path.dirname(str(file.name)) == folder)
    print(os.path.exists(folder))


async def cancelled() -> None:
    """A read from a pipe that has nothing yet: the task is cancelled, its thread goes on until the pipe ends."""
    reading, writing = os.pipe()
    async with aiofiles.open(reading, "rb") as file:
        task = asyncio.ensure_future(file.read())
        began = time.monotonic()
        await asyncio.sleep(0.05)
        task.cancel()
        print(await asyncio.gather(task, return_exceptions=True), time.monotonic() - began < 30)
        os.close(writing)


@checked
async def main() -> None:
    for part in (texts, together, temporary, cancelled):
        await part()


if __name__ == "__main__":
    asyncio.run(main())
