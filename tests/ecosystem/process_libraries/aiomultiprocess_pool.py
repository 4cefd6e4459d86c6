"""aiomultiprocess: coroutines in a pool of processes, each with a loop."""

import asyncio

from aiomultiprocess import Pool, Process, Worker


async def square(number):
    await asyncio.sleep(0.001)
    return number * number


async def power(base, exponent):
    if exponent < 0:
        raise ValueError("negative")
    return base**exponent


async def main():
    worker = Worker(target=power, args=(2, 8))
    worker.start()
    print(await worker.join())
    process = Process(target=square, args=(3,))
    process.start()
    await process.join()
    print(process.exitcode)
    async with Pool(processes=2, childconcurrency=4) as pool:
        print(await pool.map(square, range(10)))
        print(await pool.starmap(power, [(2, n) for n in range(5)]))
        print(await pool.apply(power, (3, 3)))
        try:
            await pool.apply(power, (3, -1))
        except Exception as e:
            print(type(e).__name__, "negative" in str(e))
        print([value async for value in pool.map(square, range(3))])


if __name__ == "__main__":
    asyncio.run(main())
