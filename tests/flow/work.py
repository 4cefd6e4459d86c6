"""What stages of the tests do: worker processes import this."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path


class Unlucky(Exception):
    """What `unlucky` raises."""


def double(number: int) -> int:
    return 2 * number


async def adouble(number: int) -> int:
    await asyncio.sleep(0)
    return 2 * number


def unlucky(number: int) -> int:
    """Fails for multiples of 7."""
    if number % 7 == 0:
        raise Unlucky(number)
    return number


async def aunlucky(number: int) -> int:
    await asyncio.sleep(0)
    return unlucky(number)


def upto(number: int) -> Iterator[int]:
    """Everything below, which may be nothing."""
    yield from range(number)


async def aupto(number: int) -> AsyncIterator[int]:
    for below in range(number):
        await asyncio.sleep(0)
        yield below


def stop(_number: int) -> int:
    raise StopIteration


def pid(_number: int) -> int:
    return os.getpid()


def sleep_long(path: str) -> None:
    """Tells its process's number, and sleeps for longer than any test."""
    Path(path).write_text(str(os.getpid()))
    time.sleep(600)


def spin(count: int) -> int:
    """Computes under the interpreter lock."""
    total = 0
    for number in range(count):
        total += number & 3
    return total


async def aspin(count: int) -> int:
    return spin(count)


def nap(seconds: float) -> float:
    time.sleep(seconds)
    return seconds


async def anap(seconds: float) -> float:
    await asyncio.sleep(seconds)
    return seconds


def mangle(number: int) -> int:
    return 3 * number + 1


async def amangle(number: int) -> int:
    if number % 3 == 0:
        await asyncio.sleep(0.0005)
    return 3 * number + 1


def spread(number: int) -> Iterator[int]:
    """None, one or two."""
    for more in range(number % 3):
        yield number + more


async def aspread(number: int) -> AsyncIterator[int]:
    for result in spread(number):
        await asyncio.sleep(0)
        yield result


def fail_on(bad: int, number: int) -> int:
    """Fails for one number."""
    if number == bad:
        raise Unlucky(number)
    return number


async def afail_on(bad: int, number: int) -> int:
    await asyncio.sleep(0)
    return fail_on(bad, number)
