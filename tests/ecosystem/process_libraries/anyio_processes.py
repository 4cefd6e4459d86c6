"""anyio.to_process, from asyncio."""

import os
import time

import anyio
from anyio import to_process


def work(number):
    return number * 2, os.getpid() != PARENT


PARENT = os.getpid()


def raises(text):
    raise LookupError(text)


async def main():
    found = {}

    async def one(number):
        found[number] = (await to_process.run_sync(work, number))[0]

    async with anyio.create_task_group() as group:
        for number in range(4):
            group.start_soon(one, number)
    print(sorted(found.items()))
    try:
        await to_process.run_sync(raises, "there")
    except LookupError as e:
        print(repr(e))
    with anyio.move_on_after(0.2) as scope:
        await to_process.run_sync(time.sleep, 30, cancellable=True)
    print(scope.cancelled_caught, to_process.current_default_process_limiter().borrowed_tokens)
    print(await to_process.run_sync(pow, 2, 16))


if __name__ == "__main__":
    anyio.run(main)
