"""connection.wait over pipes and the sentinels of processes."""

import time
from multiprocessing import Pipe, Process
from multiprocessing.connection import wait


def tell(connection, name, count):
    for i in range(count):
        connection.send((i, name))
    connection.close()


if __name__ == "__main__":
    readers, processes = [], []
    for name, count in (("a", 4), ("b", 1), ("c", 0)):
        reader, writer = Pipe(duplex=False)
        readers.append(reader)
        p = Process(target=tell, args=(writer, name, count))
        p.start()
        processes.append(p)
        writer.close()
    messages = []
    while readers:
        for reader in wait(readers):
            try:
                messages.append(reader.recv())
            except EOFError:
                readers.remove(reader)
                reader.close()
    print(sorted(messages))
    left = {p.sentinel: p for p in processes}
    while left:
        for sentinel in wait(list(left), timeout=20):
            p = left.pop(sentinel)
            p.join()
    print([p.exitcode for p in processes])
    a, b = Pipe()
    began = time.monotonic()
    print(wait([a, b], timeout=0.05), time.monotonic() - began >= 0.04, wait([], timeout=0))
    b.send(1)
    print(wait([a, b], 5) == [a], a.recv())
