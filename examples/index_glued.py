"""An index of a slow disk's Python files, glued together from the standard library: tasks, threads and processes.

    python index_glued.py PORT

`index_grouped.py` is the same in one group.
"""

import asyncio
import sys
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

from indexing import Index, parse
from wordcount import connect, fetch

WORKERS = 64


async def main(port: int) -> Index:
    loop = asyncio.get_running_loop()
    names: asyncio.Queue[str] = asyncio.Queue()
    index = Index()
    with ThreadPoolExecutor() as threads, ProcessPoolExecutor() as processes:

        async def worker() -> None:
            with await connect(loop, port) as connection:
                while not names.empty():
                    name = names.get_nowait()
                    text = await fetch(loop, connection, name)
                    found = await loop.run_in_executor(processes, parse, text)
                    await loop.run_in_executor(threads, index.add, name, found)

        with await connect(loop, port) as connection:
            for name in (await fetch(loop, connection, ".")).decode().splitlines():
                names.put_nowait(name)
        workers = [asyncio.create_task(worker()) for _ in range(WORKERS)]
        try:
            await asyncio.gather(*workers)
        finally:
            # The first error must not leave the others behind; what runs in a thread or a process runs on all the same.
            for task in workers:
                task.cancel()
            await asyncio.gather(*workers, return_exceptions=True)
            processes.shutdown(wait=False, cancel_futures=True)
    return index


if __name__ == "__main__":
    print(asyncio.run(main(int(sys.argv[1]))))
