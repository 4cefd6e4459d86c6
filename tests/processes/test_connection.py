"""Connections between processes: as the standard library's, side by side."""

from __future__ import annotations

import contextlib
import gc
import os
import socket
import struct
import sys
import textwrap
import threading
import time
from multiprocessing import connection as theirs

import pytest
from commands import run as command
from fenshen import multiprocessing as ours
from fenshen.futures import ProcessPoolExecutor
from fenshen.multiprocessing import connection as mine

from processes.sides import (
    PATIENCE,
    assert_same,
    each_context,
    each_side,
    needs_native,
    our_contexts,
    started,
)

pytestmark = needs_native

VALUES = [None, 7, "text", (1, [2, {"three": 3}]), b"", b"x" * 9000, list(range(20_000)), b"y" * 3_000_000]


def echo(end):
    while True:
        try:
            value = end.recv()
        except EOFError:
            return
        if value == "end":
            return
        end.send(value)


@each_context
def test_what_is_sent_comes_back_from_a_child(ctx):
    here, there = ctx.Pipe()
    with started(ctx, echo, (there,)) as (child,):
        there.close()
        for value in VALUES:
            here.send(value)
            assert here.poll(PATIENCE)
            assert here.recv() == value
        here.send("end")
        child.join(PATIENCE)
        assert child.exitcode == 0


@each_side
def test_bytes(processes):
    reader, writer = processes.Pipe(duplex=False)
    for message in (b"", b"a", b"b" * 8191, b"c" * 8192, b"d" * 8193, b"e" * 20_000):
        writer.send_bytes(message)
        assert reader.recv_bytes() == message
        writer.send_bytes(message)
        assert reader.recv_bytes(20_000) == message
    writer.send_bytes(memoryview(b"0123456789"), 2, 5)
    assert reader.recv_bytes() == b"23456"
    from array import array

    writer.send_bytes(array("i", [1, 2, 3]))
    into = array("i", [0] * 5)
    assert reader.recv_bytes_into(into, 4) == 12
    assert list(into) == [0, 1, 2, 3, 0]


def test_wrong_use():
    def ends(processes):
        return processes.Pipe(duplex=False)

    def closed(processes):
        end, _ = processes.Pipe()
        end.close()
        end.close()
        return end

    def into(processes, size, offset=0):
        reader, writer = ends(processes)
        writer.send_bytes(b"12345")
        return reader.recv_bytes_into(bytearray(size), offset)

    assert_same(
        lambda p: ends(p)[0].send(1),
        lambda p: ends(p)[0].send_bytes(b""),
        lambda p: ends(p)[1].recv(),
        lambda p: ends(p)[1].recv_bytes(),
        lambda p: ends(p)[1].poll(),
        lambda p: [(e.readable, e.writable, e.closed) for e in ends(p)],
        lambda p: [(e.readable, e.writable, e.closed) for e in p.Pipe()],
        lambda p: closed(p).send(1),
        lambda p: closed(p).recv(),
        lambda p: closed(p).fileno(),
        lambda p: closed(p).poll(),
        lambda p: (closed(p).closed, closed(p)._handle),
        lambda p: ends(p)[1].send_bytes(b"1", -1),
        lambda p: ends(p)[1].send_bytes(b"1", 2),
        lambda p: ends(p)[1].send_bytes(b"1", 0, -1),
        lambda p: ends(p)[1].send_bytes(b"1", 0, 2),
        lambda p: type(_error(lambda: ends(p)[1].send_bytes("text"))),
        lambda p: type(_error(lambda: ends(p)[1].send(lambda: 0))),
        lambda p: ends(p)[0].recv_bytes(-1),
        lambda p: into(p, 5),
        lambda p: into(p, 10, 5),
        lambda p: into(p, 9, 5),
        lambda p: into(p, 4),
        lambda p: into(p, 4, -1),
        lambda p: into(p, 4, 5),
        lambda p: type(ends(p)[0])(-1),
        lambda p: type(ends(p)[0])(0, False, False),
        lambda p: type(_error(lambda: type(ends(p)[0])("file"))),
    )


def _error(action):
    with pytest.raises(Exception) as caught:  # noqa: PT011
        action()
    return caught.value


@each_side
def test_a_message_that_is_too_long_ends_the_reading(processes):
    reader, writer = processes.Pipe(duplex=False)
    writer.send_bytes(b"12345")
    with pytest.raises(OSError, match="bad message length"):
        reader.recv_bytes(4)
    assert reader.closed
    one, other = processes.Pipe()
    other.send_bytes(bytes(100_000))
    with pytest.raises(OSError, match="bad message length"):
        one.recv_bytes(4)
    assert (one.closed, one.readable) == (False, False)


@each_side
def test_the_other_end_is_closed(processes):
    one, other = processes.Pipe()
    other.send("last")
    other.close()
    assert one.poll()
    assert one.recv() == "last"
    assert one.poll()
    with pytest.raises(EOFError):
        one.recv()
    with pytest.raises(BrokenPipeError):
        one.send("nobody")


@each_side
@pytest.mark.parametrize("sent", [b"\0\0", b"\0\0\0\5abc", struct.pack("!i", 100_000) + b"abc", b"\xff\xff\xff\xff\0"])
def test_the_end_amid_a_message(processes, sent):
    one, other = processes.Pipe()
    os.write(other.fileno(), sent)
    other.close()
    with pytest.raises(OSError, match="got end of file during message"):
        one.recv_bytes()


@each_side
def test_a_long_head_for_a_short_message(processes):
    one, other = processes.Pipe()
    os.write(other.fileno(), struct.pack("!iQ", -1, 5) + b"12345")
    assert one.recv_bytes() == b"12345"


def test_both_sides_speak_the_same():
    for make, other in ((mine, theirs), (theirs, mine)):
        left, right = socket.socketpair()
        one, two = make.Connection(left.detach()), other.Connection(right.detach())
        thread = threading.Thread(target=lambda two=two: [two.send(two.recv()) for _ in VALUES])
        thread.start()
        for value in VALUES:
            one.send(value)
            assert one.recv() == value
        thread.join()
        one.close()
        two.close()


@each_side
def test_nothing_is_read_ahead(processes):
    one, other = processes.Pipe()
    for i in range(3):
        other.send_bytes(b"%d" % i)
    assert one.recv_bytes() == b"0"
    assert os.read(one.fileno(), 5) == b"\0\0\0\1" + b"1"
    assert theirs.wait([one], 0) == [one]
    assert one.recv_bytes() == b"2"
    assert theirs.wait([one], 0) == []


@each_side
def test_poll_waits_so_long(processes):
    one, other = processes.Pipe()
    assert not one.poll()
    assert not one.poll(-1)
    start = time.monotonic()
    assert not one.poll(0.05)
    assert time.monotonic() - start >= 0.05
    threading.Timer(0.05, other.send, (1,)).start()
    assert one.poll(None)
    assert one.recv() == 1


def opened():
    """What this process has open."""
    found = set()
    for fd in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):
            found.add((fd, os.readlink(f"/proc/self/fd/{fd}")))
    return found


@each_side
def test_it_closes_what_it_has(processes):
    before = opened()
    with processes.Pipe()[0] as end:
        assert end.fileno() >= 0
    processes.Pipe(False)
    gc.collect()
    assert end.closed
    assert opened() <= before  # what others have left may be closed meanwhile


@each_side
def test_listener_and_client(processes, tmp_path):
    with theirs.Listener(str(tmp_path / "socket"), authkey=b"key") as listener:
        thread = threading.Thread(target=lambda: echo(listener.accept()))
        thread.start()
        with theirs.Client(listener.address, authkey=b"key") as client:
            client.send(VALUES[3])
            assert client.recv() == VALUES[3]
        thread.join(PATIENCE)


def test_isinstance():
    one, _ = ours.Pipe()
    assert isinstance(one, theirs.Connection)
    assert isinstance(one, mine.Connection)
    assert mine.wait is theirs.wait


def _send_back(end, value):
    end.send(value)
    return end


@our_contexts
def test_through_pools_queues_and_pipes(ctx):
    here, there = ctx.Pipe()
    with ProcessPoolExecutor(1, mp_context=ctx) as pool:
        back = pool.submit(_send_back, there, "from a pool").result(PATIENCE)
        assert here.recv() == "from a pool"
    back.send("through what came back")
    assert here.recv() == "through what came back"
    q = ctx.Queue()
    q.put(there)
    one, other = ctx.Pipe()
    one.send([q, there])
    q_again, there_again = other.recv()
    there_again.send("through a pipe")
    q_again.get().send("through a queue")
    assert [here.recv(), here.recv()] == ["through a pipe", "through a queue"]


def _send_for_ever(end):
    while True:
        end.send(b"x" * 50_000)


def receive_all(end):
    while True:
        end.recv()


@each_context
def test_a_killed_sender_is_an_end(ctx):
    reader, writer = ctx.Pipe(duplex=False)
    with started(ctx, _send_for_ever, (writer,)) as (child,):
        writer.close()
        assert len(reader.recv()) == 50_000
        child.kill()
        with pytest.raises((EOFError, OSError)):
            receive_all(reader)


def test_an_interrupted_recv():
    code = """
        import os, signal, threading
        from fenshen import multiprocessing
        one, other = multiprocessing.Pipe()
        threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()
        try:
            one.recv()
        except KeyboardInterrupt:
            other.send("goes on")
            print("interrupted,", one.recv())
        """
    assert command([sys.executable, "-c", textwrap.dedent(code)]).out == "interrupted, goes on\n"


def test_under_install_listeners_return_ours(tmp_path):
    code = """
        import sys, threading
        import fenshen
        fenshen.install(processes=True)
        from multiprocessing.connection import Client, Connection, Listener, Pipe
        import fenshen.multiprocessing.connection as ours
        assert Connection is ours.Connection and type(Pipe()[0]) is Connection
        listener = Listener(sys.argv[1])
        client = Client(listener.address)
        assert type(client) is type(listener.accept()) is Connection
        print("ours")
        """
    path = str(tmp_path / "socket")
    assert command([sys.executable, "-c", textwrap.dedent(code), path]).out == "ours\n"
