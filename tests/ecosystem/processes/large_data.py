"""Arguments and results of many sizes, far over what a pipe holds, by every way that there is."""

import hashlib
import multiprocessing as mp
from concurrent.futures import ProcessPoolExecutor

SIZES = [0, 1, 1000, 65_535, 65_536, 65_537, 1_000_000, 8_000_000]


def digest(data):
    return hashlib.sha256(data).hexdigest()[:12], type(data).__name__


def make(size):
    return bytes(i % 251 for i in range(min(size, 1000))) * (size // 1000 + 1)


def back(data):
    data[0:3] = b"abc"
    return data


def relay(inbox, outbox):
    for item in iter(inbox.get, None):
        outbox.put(item[::-1])


def throw(connection):
    while True:
        data = connection.recv_bytes()
        if not data:
            break
        connection.send_bytes(data + data)


if __name__ == "__main__":
    blocks = [make(size) for size in SIZES]
    with mp.Pool(2) as pool, ProcessPoolExecutor(2) as executor:
        print(pool.map(digest, blocks, chunksize=1) == [digest(b) for b in blocks])
        print(list(executor.map(digest, map(bytearray, blocks))) == [digest(bytearray(b)) for b in blocks])
        print(pool.map(make, SIZES) == blocks, list(executor.map(make, SIZES)) == blocks)
        mine = bytearray(200_000)
        theirs = executor.submit(back, mine).result()
        print(mine[:3], theirs[:3], type(theirs).__name__, len(theirs))
        nested = executor.submit(dict, [(i, "x" * i) for i in range(800)]).result()
        print(len(nested), sum(map(len, nested.values())))
    inbox, outbox = mp.Queue(), mp.Queue()
    p = mp.Process(target=relay, args=(inbox, outbox))
    p.start()
    for block in blocks:
        inbox.put(block)
    inbox.put(None)
    print([outbox.get() for _ in blocks] == [b[::-1] for b in blocks])
    p.join()
    here, there = mp.Pipe()
    p = mp.Process(target=throw, args=(there,))
    p.start()
    for block in blocks[1:]:
        here.send_bytes(block)
        assert here.recv_bytes() == block * 2
    here.send_bytes(b"")
    p.join()
    print(p.exitcode)
