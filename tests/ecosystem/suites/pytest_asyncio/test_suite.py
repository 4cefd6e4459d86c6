"""Somebody's tests by pytest-asyncio; the test of pytest-asyncio runs them with different loops."""

from __future__ import annotations

import asyncio
import contextvars
import os
from collections.abc import AsyncIterator

import fenshen
import pytest
import pytest_asyncio

seen: list[asyncio.AbstractEventLoop] = []
variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="unset")


def is_expected(loop: asyncio.AbstractEventLoop) -> bool:
    return isinstance(loop, fenshen.EventLoop) == (os.environ["EXPECTED_LOOP"] == "fenshen")


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(1 << 16):
        writer.write(data)
        await writer.drain()
    writer.close()


@pytest_asyncio.fixture
async def port() -> AsyncIterator[int]:
    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    yield server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def shared() -> AsyncIterator[asyncio.Queue[int]]:
    queue: asyncio.Queue[int] = asyncio.Queue()
    task = asyncio.create_task(queue.put(1))
    yield queue
    await task


@pytest.mark.asyncio
async def test_loop() -> None:
    loop = asyncio.get_running_loop()
    assert is_expected(loop)
    seen.append(loop)


@pytest.mark.asyncio
async def test_each_test_has_a_loop_of_its_own() -> None:
    loop = asyncio.get_running_loop()
    assert is_expected(loop)
    assert seen[0] is not loop
    assert seen[0].is_closed()


@pytest.mark.asyncio
async def test_a_fixture_is_on_the_same_loop(port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    data = os.urandom(3 << 20)
    sending = asyncio.create_task(drained(writer, data))
    assert await reader.readexactly(len(data)) == data
    await sending
    writer.close()
    await writer.wait_closed()


async def drained(writer: asyncio.StreamWriter, data: bytes) -> None:
    writer.write(data)
    await writer.drain()


@pytest.mark.asyncio(loop_scope="module")
async def test_a_loop_for_the_module(shared: asyncio.Queue[int]) -> None:
    assert is_expected(asyncio.get_running_loop())
    seen.append(asyncio.get_running_loop())
    assert await asyncio.wait_for(shared.get(), 10) == 1
    await shared.put(2)


@pytest.mark.asyncio(loop_scope="module")
async def test_the_same_loop_for_the_module(shared: asyncio.Queue[int]) -> None:
    assert asyncio.get_running_loop() is seen[-1]
    assert shared.get_nowait() == 2


@pytest.mark.asyncio
@pytest.mark.parametrize("number", range(3))
async def test_contexts(number: int) -> None:
    assert variable.get() == "unset"
    variable.set(str(number))
    await asyncio.sleep(0)
    assert await asyncio.create_task(read()) == str(number)


async def read() -> str:
    return variable.get()


@pytest.mark.asyncio
async def test_that_fails() -> None:
    await asyncio.sleep(0)
    raise ValueError("as it should")


@pytest.mark.asyncio
async def test_that_is_left_waiting() -> None:
    """Its task is cancelled with the loop."""
    task = asyncio.create_task(asyncio.Event().wait())
    await asyncio.sleep(0)
    assert not task.done()
