"""`Event` between processes: as the standard library's, side by side."""

from __future__ import annotations

import os
import pickle
import signal
import threading
import time

import pytest
from fenshen import multiprocessing as ours

from processes.sides import PATIENCE, each_context, each_side, is_asleep, needs_native, our_contexts, started, until

pytestmark = needs_native


@each_side
def test_set_and_cleared(processes):
    event = processes.Event()
    assert not event.is_set()
    assert event.wait(0) is False
    assert event.wait(timeout=0.001) is False
    event.set()
    event.set()
    assert event.is_set()
    assert event.wait() is True
    event.clear()
    assert event.wait(-1) is False
    assert repr(event).startswith(("<Event at 0x", "<multiprocessing.synchronize.Event", "<fenshen.multiprocessing"))


def _wait(event):
    assert event.wait(PATIENCE) is True


@each_context
def test_all_who_wait_go_on(ctx):
    event = ctx.Event()
    with started(ctx, _wait, *[(event,)] * 3) as children:
        until(lambda: all(is_asleep(child.pid) for child in children))
        event.set()
        for child in children:
            child.join(PATIENCE)
        assert [child.exitcode for child in children] == [0] * 3


@our_contexts
def test_who_waits_is_told_though_it_is_cleared_at_once(ctx):
    event = ctx.Event()
    with started(ctx, _wait, (event,)) as [child]:
        until(lambda: is_asleep(child.pid))
        os.kill(child.pid, signal.SIGSTOP)
        event.set()
        event.clear()
        os.kill(child.pid, signal.SIGCONT)
        child.join(PATIENCE)
        assert child.exitcode == 0


def test_a_killed_waiter_harms_nobody():
    ctx = ours.get_context("fork")
    event = ctx.Event()
    with started(ctx, _wait, *[(event,)] * 3) as children:
        until(lambda: all(is_asleep(child.pid) for child in children))
        children[0].kill()
        children[0].join(PATIENCE)
        event.set()
        for child in children[1:]:
            child.join(PATIENCE)
        assert [child.exitcode for child in children] == [-signal.SIGKILL, 0, 0]


def test_timeouts_are_never_early():
    """The standard library's are by some microseconds: they look at the clock of the day."""
    event = ours.Event()
    for timeout in (0.0001, 0.0137, 0.12):
        began = time.monotonic()
        assert event.wait(timeout) is False
        assert time.monotonic() - began >= timeout


def test_threads_wait_for_it_too():
    event, went = ours.Event(), []
    threads = [threading.Thread(target=lambda: went.append(event.wait(PATIENCE))) for _ in range(5)]
    for thread in threads:
        thread.start()
    event.set()
    for thread in threads:
        thread.join(PATIENCE)
    assert went == [True] * 5


@pytest.mark.parametrize("make", [ours.Event, ours.Condition, lambda: ours.Barrier(2)])
def test_only_for_processes_of_ours(make):
    with pytest.raises(RuntimeError, match="objects should only be shared between processes through inheritance"):
        pickle.dumps(make())
