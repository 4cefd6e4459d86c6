"""CPU work of an asyncio program in a process pool: run_in_executor, gather, limits in number and in time."""

import asyncio
import time
from concurrent.futures import ProcessPoolExecutor
from functools import partial


def burn(n):
    return sum(i * i for i in range(n))


def nap(seconds, *, value=None):
    time.sleep(seconds)
    return value


def fail(text):
    raise KeyError(text)


async def ticker(ticks):
    while True:
        ticks.append(1)
        await asyncio.sleep(0.01)


async def main():
    loop = asyncio.get_running_loop()
    ticks = []
    ticking = asyncio.create_task(ticker(ticks))
    with ProcessPoolExecutor(2) as pool:
        print(await loop.run_in_executor(pool, burn, 100_000))
        print(await asyncio.gather(*(loop.run_in_executor(pool, burn, n) for n in (10, 100, 1000))))
        print(await loop.run_in_executor(pool, partial(nap, 0.1, value="partial")))
        results = await asyncio.gather(
            loop.run_in_executor(pool, fail, "k"), loop.run_in_executor(pool, abs, -1), return_exceptions=True
        )
        print(results)
        try:
            await asyncio.wait_for(loop.run_in_executor(pool, nap, 0.4), 0.05)
        except asyncio.TimeoutError:
            print("timed out")
        done = [await each for each in asyncio.as_completed([loop.run_in_executor(pool, abs, -n) for n in range(5)])]
        print(sorted(done))
        limit = asyncio.Semaphore(2)

        async def limited(n):
            async with limit:
                return await asyncio.wrap_future(pool.submit(burn, n))

        print(sum(await asyncio.gather(*(limited(n) for n in range(20)))))
    print(len(ticks) > 3)
    ticking.cancel()


if __name__ == "__main__":
    asyncio.run(main())
