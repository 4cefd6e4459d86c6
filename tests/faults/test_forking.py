"""Forking with a running loop and open transports: the child is told, and the parent's connections live on."""

from __future__ import annotations

import pytest
from commands import PYTHON, Outcome, end, start

HEAD = """
import asyncio, os, signal, socket, sys, threading
import fenshen

class Echo(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport = transport
    def data_received(self, data):
        self.transport.write(data.upper())

async def talk(reader, writer, words):
    writer.write(words)
    await writer.drain()
    return await asyncio.wait_for(reader.readexactly(len(words)), 20)

def forked(child):
    sys.stdout.flush()
    pid = os.fork()
    if pid == 0:
        signal.alarm(20)
        try:
            print("child:", child(), flush=True)
        except BaseException as e:
            print("child raised", type(e).__name__, str(e).split(" when ")[0].rstrip("0123456789 "), flush=True)
        os._exit(0)
    return pid

async def waited(pid):
    loop = asyncio.get_running_loop()
    return os.waitstatus_to_exitcode((await loop.run_in_executor(None, os.waitpid, pid, 0))[1])

async def main():
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Echo, "127.0.0.1", 0)
    address = server.sockets[0].getsockname()
    reader, writer = await asyncio.open_connection(*address)
    print(await talk(reader, writer, b"before"))
    CHILD
    print(await talk(reader, writer, b"after"))
    again = await asyncio.open_connection(*address)
    print(await talk(*again, b"anew"))
    for each in (writer, again[1]):
        each.close()
        await each.wait_closed()
    server.close()

asyncio.run(main(), loop_factory=fenshen.new_event_loop) if sys.version_info >= (3, 12) else fenshen.run(main())
"""
PARENT = ["b'BEFORE'", "b'AFTER'", "b'ANEW'"]


def program(child: str) -> Outcome:
    indented = "\n    ".join(child.strip().splitlines())
    return end(start([*PYTHON, "-X", "faulthandler", "-c", HEAD.replace("CHILD", indented)]), seconds=60)


WAYS = {
    "runs the loop": "lambda: loop.run_until_complete(asyncio.sleep(0))",
    "runs it for ever": "loop.run_forever",
    "calls in": "lambda: loop.call_soon_threadsafe(print)",
}


@pytest.mark.parametrize("way", WAYS)
def test_the_parents_loop_is_refused(way: str) -> None:
    outcome = program(f"print(await waited(forked({WAYS[way]})))")
    lines = outcome.out.splitlines()
    assert [line for line in lines if line.startswith("b'")] == PARENT, outcome
    assert "child raised RuntimeError this event loop was running in process" in lines, outcome
    assert "0" in lines


def test_a_loop_of_its_own_works() -> None:
    child = """
async def of_its_own():
    server = await asyncio.get_running_loop().create_server(Echo, "127.0.0.1", 0)
    streams = await asyncio.open_connection(*server.sockets[0].getsockname())
    words = await talk(*streams, b"child")
    streams[1].close()
    server.close()
    return words
print(await waited(forked(lambda: fenshen.run(of_its_own()))))
"""
    lines = program(child).out.splitlines()
    assert [line for line in lines if line.startswith("b'")] == PARENT
    assert "child: b'CHILD'" in lines
    assert "0" in lines


@pytest.mark.parametrize(
    "what", ["writer.close()", "writer.transport.abort()", "server.close()", "loop.close()", "del writer, reader"]
)
def test_what_the_child_ends_the_parent_keeps(what: str) -> None:
    """Descriptors are shared, and so is what epoll watches: a child that lets go of its copies takes nothing away."""
    child = f"""
def let_go():
    nonlocal reader, writer, server
    try:
        {what if not what.startswith("del") else "reader = writer = None"}
    except RuntimeError:
        pass
    return "let go"
print(await waited(forked(let_go)))
"""
    outcome = program(child)
    lines = outcome.out.splitlines()
    assert [line for line in lines if line.startswith("b'")] == PARENT, outcome
    assert "child: let go" in lines, outcome


def test_a_child_that_goes_on_serving_the_parents_connections_does_not_hang() -> None:
    child = """
sys.stdout.flush()
pid = os.fork()
if pid == 0:
    signal.alarm(20)
    try:
        await talk(reader, writer, b"child")
    except BaseException as e:
        pass
    os._exit(3)
print(await waited(pid))
"""
    outcome = program(child)
    assert outcome.status == 0, outcome
    assert "-14" not in outcome.out.splitlines(), "it hung"


def test_a_thousand_forks_while_serving() -> None:
    child = """
for i in range(30):
    pid = forked(lambda: None)
    assert await talk(reader, writer, b"x" * 10_000) == b"X" * 10_000
    assert await waited(pid) == 0
"""
    outcome = program(child)
    assert [line for line in outcome.out.splitlines() if line.startswith("b'")] == PARENT, outcome
