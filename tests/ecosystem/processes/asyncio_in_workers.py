"""An event loop in each process, and one in the program that reads a multiprocessing queue by a thread."""

import asyncio
import multiprocessing


async def fetch(name, number):
    await asyncio.sleep(0.01)
    return f"{name}:{number}"


async def crawl(name, queue):
    for page in await asyncio.gather(*(fetch(name, n) for n in range(5))):
        queue.put(page)
    queue.put(None)


def process(name, queue):
    asyncio.run(crawl(name, queue))


async def main():
    queue, pages, ends = multiprocessing.Queue(), [], 0
    processes = [multiprocessing.Process(target=process, args=(name, queue)) for name in "ab"]
    for p in processes:
        p.start()
    while ends < 2:
        page = await asyncio.to_thread(queue.get)
        if page is None:
            ends += 1
        else:
            pages.append(page)
    await asyncio.gather(*(asyncio.to_thread(p.join) for p in processes))
    print(sorted(pages))
    here, there = multiprocessing.Pipe()
    arrived = asyncio.Event()
    asyncio.get_running_loop().add_reader(here.fileno(), arrived.set)
    sender = multiprocessing.Process(target=there.send, args=("by add_reader",))
    sender.start()
    await asyncio.wait_for(arrived.wait(), 20)
    asyncio.get_running_loop().remove_reader(here.fileno())
    print(here.recv())
    await asyncio.to_thread(sender.join)
    print([p.exitcode for p in (*processes, sender)])


if __name__ == "__main__":
    asyncio.run(main())
