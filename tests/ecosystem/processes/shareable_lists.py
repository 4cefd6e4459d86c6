"""ShareableList, and the manager that takes its blocks away."""

from multiprocessing import Process
from multiprocessing.managers import SharedMemoryManager
from multiprocessing.shared_memory import ShareableList, SharedMemory


def change(name):
    items = ShareableList(name=name)
    items[0] += 1
    items[2] = "changed"
    items.shm.close()


def mark(block, at):
    block.buf[at] = at
    block.close()


if __name__ == "__main__":
    items = ShareableList([1, 2.5, "a longer text", b"bytes", None, True])
    p = Process(target=change, args=(items.shm.name,))
    p.start()
    p.join()
    print(list(items), len(items), items.index(2.5), items.count(None), items.format)
    try:
        items[2] = "far too long for the place that there is"
    except ValueError as e:
        print("ValueError:", e)
    try:
        items[9]
    except IndexError as e:
        print("IndexError:", e)
    twin = ShareableList(items)
    twin[0] = 50
    print(items[0], twin[0])
    for each in (items, twin):
        each.shm.close()
        each.shm.unlink()
    with SharedMemoryManager() as manager:
        block = manager.SharedMemory(size=16)
        numbers = manager.ShareableList(range(5))
        workers = [Process(target=mark, args=(block, at)) for at in (1, 5)]
        for w in workers:
            w.start()
        for w in workers:
            w.join()
        print(bytes(block.buf[:8]), sum(numbers))
        name = block.name
    try:
        SharedMemory(name)
    except FileNotFoundError:
        print("gone with its manager")
