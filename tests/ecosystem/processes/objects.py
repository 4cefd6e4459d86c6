"""Objects of all kinds as arguments and results: dataclasses, enums, named tuples, dates, bound and class methods."""

import collections
import dataclasses
import datetime
import decimal
import enum
import fractions
import functools
import multiprocessing
import operator
import pathlib
import uuid
from concurrent.futures import ProcessPoolExecutor

Pair = collections.namedtuple("Pair", "left right")


class Colour(enum.Enum):
    RED = 1
    BLUE = 2


@dataclasses.dataclass
class Order:
    number: int
    lines: list = dataclasses.field(default_factory=list)
    colour: Colour = Colour.RED

    def total(self, rate=1):
        return sum(self.lines) * rate

    @classmethod
    def of(cls, number):
        return cls(number, [number] * 3, Colour.BLUE)

    @staticmethod
    def name(number):
        return f"order {number}"


class Callable:
    def __init__(self, factor):
        self.factor = factor

    def __call__(self, number):
        return number * self.factor


def same(thing):
    return thing


if __name__ == "__main__":
    things = [
        Order(1, [2, 3]),
        Pair(1, "b"),
        Colour.BLUE,
        datetime.datetime(2024, 2, 29, tzinfo=datetime.timezone.utc),
        decimal.Decimal("1.10"),
        fractions.Fraction(1, 3),
        pathlib.PurePosixPath("/a/b"),
        uuid.UUID(int=5),
        {1, 2},
        frozenset("ab"),
        collections.OrderedDict(a=1),
        collections.deque([1, 2], maxlen=3),
        float("inf"),
        2**100,
        "中文\ud83d\ude00".encode("utf-16", "surrogatepass"),
        range(5),
        slice(1, 2),
        complex(1, 2),
        None,
        ...,
        (),
    ]
    with multiprocessing.Pool(2) as pool, ProcessPoolExecutor(2) as executor:
        print(pool.map(same, things) == things, list(executor.map(same, things)) == things)
        print(executor.submit(same, Colour.RED).result() is Colour.RED, executor.submit(same, ...).result() is ...)
        orders = pool.map(Order.of, range(3))
        print(orders[2], pool.map(Order.total, orders), pool.map(Order.name, [1]))
        print(executor.submit(orders[1].total, rate=10).result(), list(executor.map(Callable(3), range(3))))
        print(pool.map(functools.partial(operator.mul, 5), [1, 2]), pool.map(operator.attrgetter("number"), orders))
        print(pool.map("{:>4}".format, [1, 22]), pool.map([1, 2, 2].count, [1, 2]), pool.map({1: "a"}.get, [1, 2]))
        shared = [1]
        a, b = executor.submit(same, (shared, shared)).result()
        print(a is b, a is shared)
