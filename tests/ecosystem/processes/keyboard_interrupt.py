"""Ctrl-C while a pool works: the workers ignore it, the program catches it and ends the pool."""

import multiprocessing
import os
import signal
import threading
import time


def ignore():
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def slow(number):
    time.sleep(0.05)
    return number


def main():
    pool = multiprocessing.Pool(2, ignore)
    threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()
    try:
        result = pool.map_async(slow, range(10_000), chunksize=1)
        result.get(60)
    except KeyboardInterrupt:
        print("Ctrl-C, ending the pool")
        pool.terminate()
    else:
        pool.close()
    pool.join()
    print(len(multiprocessing.active_children()))


if __name__ == "__main__":
    main()
