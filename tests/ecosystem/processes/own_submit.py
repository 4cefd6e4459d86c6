"""A pool that tells how far it is: its class has a `submit()` of its own, by which `map()` goes too."""

from concurrent.futures import ProcessPoolExecutor


def square(n):
    return n * n


class Told(ProcessPoolExecutor):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.submitted = self.done = 0

    def submit(self, fn, /, *args, **kwargs):
        self.submitted += 1
        future = super().submit(fn, *args, **kwargs)
        future.add_done_callback(self.count)
        return future

    def count(self, _):
        self.done += 1


if __name__ == "__main__":
    with Told(2) as pool:
        print(list(pool.map(square, range(20))))
        print(sum(pool.map(square, iter(range(100)), chunksize=30)))
        print(pool.submit(square, 7).result())
    print("submitted", pool.submitted, "done", pool.done)
