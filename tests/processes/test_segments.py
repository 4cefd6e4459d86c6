"""How segments reach other processes, and what becomes of those that are gone."""

from __future__ import annotations

import gc
import os
import pickle
import subprocess
import sys

import pytest
from fenshen import _segments
from fenshen import multiprocessing as ours
from fenshen._processes import Block, Segment

from processes.sides import PATIENCE, needs_native, our_contexts, run, started, until

pytestmark = needs_native


def _write(segments, message):
    for segment in segments:
        memoryview(segment)[: len(message)] = message


@our_contexts
def test_children_have_them(ctx):
    segments = [Segment(4096), Segment(8192)]
    run(ctx, _write, ([*segments, segments[0]], b"from a child"))
    assert [bytes(memoryview(segment)[:12]) for segment in segments] == [b"from a child"] * 2


RECEIVER = """
import pickle, sys
from fenshen import _segments
block = pickle.load(sys.stdin.buffer)
again = pickle.load(sys.stdin.buffer)
block.create_memoryview()[:5] = b"hello"
again.create_memoryview()[5:6] = b"!"
print(block._share()[1] is again._share()[1], len(_segments._known))
"""


def receive(pickles):
    return subprocess.run([sys.executable, "-c", RECEIVER], input=pickles, capture_output=True, timeout=PATIENCE)


def test_they_are_opened_where_they_are_open():
    block = Block(100)
    with _segments.carrying() as pins:
        pickles = pickle.dumps(block) * 2
    assert pins == [block._share()[1]]
    received = receive(pickles)
    assert (received.stdout, received.stderr) == (b"True 1\n", b"")
    assert bytes(block.create_memoryview()[:7]) == b"hello!\0"


def _send(connection):
    with _segments.carrying():
        connection.send_bytes(pickle.dumps(Block(100)))
    connection.recv_bytes()


def test_what_is_gone_is_said_to_be():
    ctx = ours.get_context("fork")
    mine, theirs = ctx.Pipe()
    with started(ctx, _send, (theirs,)) as [child]:
        pid, carried = child.pid, mine.recv_bytes()
        child.kill()
        child.join(PATIENCE)
        with pytest.raises(RuntimeError, match=f"the shared memory is gone: process {pid}, which sent it, has ended"):
            pickle.loads(carried)


def test_another_file_is_not_taken_for_it():
    segment, other = Segment(4096), Segment(4096)
    identity = segment.identity
    with pytest.raises(RuntimeError, match="the shared memory is gone"):
        _segments._open(*identity, os.getpid(), other.fd)


def test_what_comes_home_is_itself():
    segment = Segment(4096)
    with _segments.carrying():
        assert pickle.loads(pickle.dumps(segment)) is segment


def test_only_within():
    block = Block(10)
    with _segments.carrying() as outer:
        with _segments.carrying() as inner:
            pickle.dumps(block)
        assert (len(inner), len(outer), _segments.is_carried()) == (1, 0, True)
        pickle.dumps(block)
        assert len(outer) == 1
    with pytest.raises(RuntimeError, match="Block objects should only be shared between processes through inheritance"):
        pickle.dumps(block)


@pytest.mark.parametrize("size", [0, 1, 64, 65, 10_000, 16 << 10, (16 << 10) + 1, 1 << 20])
def test_blocks_do_not_overlap(size):
    blocks = [Block(size) for _ in range(20)]
    for n, block in enumerate(blocks):
        assert not any(block.create_memoryview())
        block.create_memoryview()[:] = bytes([n + 1]) * size
    assert all(bytes(block.create_memoryview()) == bytes([n + 1]) * size for n, block in enumerate(blocks))


def test_a_block_of_no_size():
    for size in (-1, 1 << 62):
        with pytest.raises((ValueError, OSError, OverflowError)):
            Block(size)
    with pytest.raises(ValueError, match="no such place"):
        Block(4097, Segment(4096))
    with pytest.raises(ValueError, match="no such place"):
        Block(64, Segment(4096), 4096)
    with pytest.raises(TypeError):
        Block(64, b"no segment")


def test_what_is_used_again_is_zero():
    gc.collect()
    first = Block(64)
    first.create_memoryview()[:] = b"x" * 64
    del first
    assert not any(any(Block(64).create_memoryview()) for _ in range(10))


def test_a_forked_child_makes_places_of_its_own():
    ctx = ours.get_context("fork")
    kept = [Block(64) for _ in range(5)]
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        blocks = [Block(64) for _ in range(50)]
        for block in blocks:
            block.create_memoryview()[:] = b"x" * 64
        os.write(writer, b"!")
        os._exit(0)
    mine = [Block(64) for _ in range(50)]
    assert os.read(reader, 1) == b"!"
    os.waitpid(pid, 0)
    os.close(reader)
    os.close(writer)
    assert not any(any(block.create_memoryview()) for block in (*kept, *mine))
    until(lambda: ctx.active_children() is not None)
