"""A crawler: apply_async, call-backs that submit more, an event for the end."""

import multiprocessing
import threading


def expand(node):
    return [node * 10 + i for i in range(1, 4)] if node < 100 else []


class Crawler:
    def __init__(self, pool):
        self.pool = pool
        self.seen = set()
        self.open = 0
        self.lock = threading.Lock()
        self.finished = threading.Event()
        self.errors = []

    def submit(self, node):
        with self.lock:
            if node in self.seen:
                return
            self.seen.add(node)
            self.open += 1
        self.pool.apply_async(expand, (node,), callback=self.found, error_callback=self.errors.append)

    def found(self, nodes):
        for node in nodes:
            self.submit(node)
        with self.lock:
            self.open -= 1
            if not self.open:
                self.finished.set()


if __name__ == "__main__":
    with multiprocessing.Pool(2) as pool:
        crawler = Crawler(pool)
        crawler.submit(1)
        print(crawler.finished.wait(30), len(crawler.seen), max(crawler.seen), crawler.errors)
