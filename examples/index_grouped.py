"""An index of a slow disk's Python files: tasks, threads and processes in one group.

    python index_grouped.py PORT

If anything fails, the rest is cancelled, in the worker processes too, and nothing is left behind when the group ends.
"""

import asyncio
import sys

import fenshen
from indexing import Index, parse
from wordcount import connect, fetch

WORKERS = 64


async def main(port: int) -> Index:
    loop = asyncio.get_running_loop()
    names: asyncio.Queue[str] = asyncio.Queue()
    index = Index()
    with await connect(loop, port) as connection:
        for name in (await fetch(loop, connection, ".")).decode().splitlines():
            names.put_nowait(name)
    async with fenshen.TaskGroup() as group:

        async def worker() -> None:
            with await connect(loop, port) as connection:
                while not names.empty():
                    name = names.get_nowait()
                    text = await fetch(loop, connection, name)
                    found = await group.to_process(parse, text)
                    await group.to_thread(index.add, name, found)

        for _ in range(WORKERS):
            group.create_task(worker())
    return index


if __name__ == "__main__":
    print(fenshen.run(main(int(sys.argv[1]))))
