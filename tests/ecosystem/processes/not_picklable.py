"""What cannot be sent: the errors come where they belong and everything goes on."""

import multiprocessing
import socket
import threading
from concurrent.futures import ProcessPoolExecutor


def identity(x):
    return x


class Refuses:
    def __reduce__(self):
        raise TypeError("refuses to be pickled")


class Explodes:
    def __reduce__(self):
        return explode, ()


def explode():
    raise ValueError("when it is loaded")


def make_generator():
    return (x for x in range(3))


if __name__ == "__main__":
    with ProcessPoolExecutor(1) as executor:
        for argument in (threading.Lock(), socket.socket(), Refuses(), (x for x in "abc")):
            future = executor.submit(identity, argument)
            print(type(argument).__name__.lower(), type(future.exception(60)).__name__)
            if hasattr(argument, "detach"):
                argument.close()
        print(type(executor.submit(make_generator).exception(60)).__name__)
        print(executor.submit(identity, "goes on").result(60))
    with multiprocessing.Pool(1) as pool:
        try:
            pool.apply(identity, (Refuses(),))
        except TypeError as e:
            print(e)
        try:
            pool.apply(make_generator)
        except multiprocessing.pool.MaybeEncodingError as e:
            print(type(e).__name__)
        print(pool.apply(identity, ("goes on",)))
        try:
            multiprocessing.reduction.ForkingPickler.dumps(pool)
        except NotImplementedError as e:
            print(e)
    for thing in (multiprocessing.Lock(), multiprocessing.Queue(), multiprocessing.Value("i", 0)):
        try:
            multiprocessing.reduction.ForkingPickler.dumps(thing)
        except RuntimeError as e:
            print("through inheritance" in str(e))
