"""Transfers between accounts: a lock around two values, an RLock taken twice, and what a lock says of itself."""

import multiprocessing
import random


def transfers(seed, accounts, lock):
    chance = random.Random(seed)
    for _ in range(300):
        source, target = chance.sample(range(len(accounts)), 2)
        with lock:
            amount = min(accounts[source], 10)
            accounts[source] -= amount
            accounts[target] += amount


def deep(lock, total, depth):
    with lock:
        total.value += 1
        if depth:
            deep(lock, total, depth - 1)


if __name__ == "__main__":
    accounts = multiprocessing.Array("i", [100] * 5, lock=False)
    lock = multiprocessing.Lock()
    tellers = [multiprocessing.Process(target=transfers, args=(seed, accounts, lock)) for seed in range(3)]
    [t.start() for t in tellers]
    [t.join() for t in tellers]
    print(sum(accounts), min(accounts) >= 0)
    total, again = multiprocessing.Value("i", 0, lock=False), multiprocessing.RLock()
    visitors = [multiprocessing.Process(target=deep, args=(again, total, 9)) for _ in range(3)]
    [v.start() for v in visitors]
    [v.join() for v in visitors]
    print(total.value)
    print(lock.acquire(), lock.acquire(block=False), lock.acquire(timeout=0.05), lock.release())
    try:
        lock.release()
    except ValueError as e:
        print("ValueError:", e)
    try:
        again.release()
    except AssertionError as e:
        print("AssertionError:", e)
    print("unlocked" if lock.acquire(False) else "locked")
