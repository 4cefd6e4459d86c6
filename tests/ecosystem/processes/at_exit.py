"""What runs when a worker ends: finally, Finalize, atexit's functions in the main process only."""

import atexit
import multiprocessing
import os
from multiprocessing import util

main_pid = os.getpid()


def say(text):
    print(text, "in main" if os.getpid() == main_pid else "in a child", flush=True)


def works():
    atexit.register(say, "registered by the child")
    util.Finalize(None, say, args=("finalized",), exitpriority=10)
    try:
        say("works")
    finally:
        say("finally")


class Resource:
    def __init__(self):
        util.Finalize(self, say, args=("resource freed",))


def uses():
    r = Resource()
    del r
    say("after it")


if __name__ == "__main__":
    atexit.register(say, "atexit")
    for target in (works, uses):
        p = multiprocessing.Process(target=target)
        p.start()
        p.join()
        print(p.exitcode, flush=True)
    with multiprocessing.Pool(1) as pool:
        pool.apply(say, ("in the pool",))
    print("end of main", flush=True)
