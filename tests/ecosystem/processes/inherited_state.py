"""Workers under fork see the program's state of the pool's first use, and change only their own."""

import multiprocessing
import random
from concurrent.futures import ProcessPoolExecutor

settings = {"mode": "default"}
big = None


class Config:
    level = 0


def look(_=None):
    return settings["mode"], Config.level, None if big is None else len(big)


def change(mode):
    settings["mode"] = mode
    Config.level += 1
    return look()


def chance(_):
    random.seed()
    return random.random()


if __name__ == "__main__":
    multiprocessing.set_start_method("fork")
    settings["mode"] = "production"
    Config.level = 10
    big = list(range(1000))
    with multiprocessing.Pool(1) as pool:
        print(pool.apply(look), pool.apply(change, ("worker's",)), pool.apply(look))
        print(look())
    executor = ProcessPoolExecutor(1)
    settings["mode"] = "after the executor was made"
    print(executor.submit(look).result(), executor.submit(change, "theirs").result(), executor.submit(look).result())
    settings["mode"] = "too late"
    print(executor.submit(look).result()[0], look())
    executor.shutdown()
    with multiprocessing.Pool(2) as pool:
        print(len(set(pool.map(chance, range(20), chunksize=1))))
