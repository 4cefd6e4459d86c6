"""Managers with classes of one's own: methods, exposed names, iterators, proxies made by hand, errors."""

import multiprocessing
from multiprocessing.managers import BaseManager, BaseProxy, NamespaceProxy, SyncManager


class Counter:
    def __init__(self, start=0):
        self.value = start

    def add(self, amount=1):
        self.value += amount
        return self.value

    def fail(self):
        raise LookupError("in the manager", self.value)

    def _hidden(self):
        return "hidden"


class Thing:
    def __init__(self):
        self.name = "thing"

    def __call__(self):
        return "called"


def count_down(start):
    yield from range(start, 0, -1)


class GeneratorProxy(BaseProxy):
    _exposed_ = ("__next__",)

    def __iter__(self):
        return self

    def __next__(self):
        return self._callmethod("__next__")


class ThingProxy(NamespaceProxy):
    _exposed_ = ("__getattribute__", "__setattr__", "__delattr__", "__call__")

    def __call__(self):
        return self._callmethod("__call__")


class MyManager(BaseManager):
    pass


MyManager.register("Counter", Counter)
MyManager.register("Hidden", Counter, exposed=("_hidden", "add"))
MyManager.register("count_down", count_down, proxytype=GeneratorProxy)
MyManager.register("Thing", Thing, proxytype=ThingProxy)
SyncManager.register("Counter", Counter)


def work(counter):
    for _ in range(50):
        counter.add(2)


if __name__ == "__main__":
    manager = MyManager()
    manager.start()
    counter = manager.Counter(10)
    workers = [multiprocessing.Process(target=work, args=(counter,)) for _ in range(3)]
    for w in workers:
        w.start()
    for w in workers:
        w.join()
    print(counter.add(0) <= 310, counter.add() > 60)
    try:
        counter.fail()
    except LookupError as e:
        print("LookupError", e.args[0])
    try:
        counter._hidden()
    except AttributeError as e:
        print("AttributeError", "_hidden" in str(e))
    print(manager.Hidden()._hidden(), list(manager.count_down(4)))
    thing = manager.Thing()
    thing.name = "changed"
    print(thing.name, thing())
    manager.shutdown()
    with SyncManager() as other:
        again, table = other.Counter(start=5), other.dict()
        table["n"] = again.add(1)
        print(table["n"], type(again).__name__)
    try:
        MyManager().Counter()
    except AssertionError as e:
        print("AssertionError", e)
