"""A lock whose owner is no more: who was killed is named, who left in order is not, and nobody waits for ever."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import threading

import pytest
from fenshen import multiprocessing as ours
from fenshen.multiprocessing import OwnerDied

from processes.sides import PATIENCE, is_asleep, needs_native, our_contexts, run, started, until

pytestmark = needs_native


def _hold(lock, ready):
    lock.acquire()
    ready.release()
    signal.pause()


def _killed_holder(ctx, lock, number=signal.SIGKILL):
    """A child that acquired `lock` and was killed; returns its pid."""
    ready = ctx.Semaphore(0)
    with started(ctx, _hold, (lock, ready)) as [child]:
        assert ready.acquire(timeout=PATIENCE)
        pid = child.pid
        os.kill(pid, number)
        child.join(PATIENCE)
        assert child.exitcode == -number
    return pid


@our_contexts
@pytest.mark.parametrize("kind", ["Lock", "Semaphore", "BoundedSemaphore"])
def test_a_lock_stays_locked_until_it_is_released(ctx, kind):
    lock = getattr(ctx, kind)()
    pid = _killed_holder(ctx, lock)
    for _ in range(2):
        with pytest.raises(OwnerDied, match=rf"process {pid}, the last to acquire this {kind}, ") as caught:
            lock.acquire(timeout=PATIENCE)
        assert caught.value.pid == pid
    assert not lock.acquire(False)
    lock.release()
    with lock:
        pass


@our_contexts
def test_an_rlock_is_handed_on_and_that_is_told_once(ctx):
    lock = ctx.RLock()
    pid = _killed_holder(ctx, lock)
    assert not lock.acquire(False)
    with pytest.raises(OwnerDied, match=f"process {pid}, the last to acquire this RLock"), lock:
        pytest.fail("it was entered")
    with lock, lock:
        assert lock._semlock._count() == 2


def test_a_zombie_is_known_for_what_it_was():
    lock, ready = ours.Lock(), ours.Semaphore(0)
    pid = os.fork()
    if pid == 0:
        _hold(lock, ready)
    assert ready.acquire(timeout=PATIENCE)
    os.kill(pid, signal.SIGTERM)
    try:
        with pytest.raises(OwnerDied, match=rf"process {pid}, .* was ended by SIGTERM before it released it") as caught:
            lock.acquire(timeout=PATIENCE)
    finally:
        os.waitpid(pid, 0)
    assert (caught.value.pid, caught.value.signal) == (pid, signal.SIGTERM)
    again = pickle.loads(pickle.dumps(caught.value))
    assert (type(again), str(again), again.pid) == (OwnerDied, str(caught.value), pid)
    assert isinstance(again, RuntimeError)


def _wait_and_tell(lock, told):
    try:
        lock.acquire(timeout=PATIENCE)
    except OwnerDied:
        with told.get_lock():
            told.value += 1
    else:
        lock.release()


@pytest.mark.parametrize(("kind", "expected"), [("Lock", 3), ("RLock", 1)])
def test_those_who_wait_already_are_told(kind, expected):
    ctx = ours.get_context("fork")
    lock, told, ready = getattr(ctx, kind)(), ctx.Value("i", 0), ctx.Semaphore(0)
    with started(ctx, _hold, (lock, ready)) as [holder]:
        assert ready.acquire(timeout=PATIENCE)
        with started(ctx, _wait_and_tell, *[(lock, told)] * 3) as waiters:
            for waiter in waiters:
                until(lambda waiter=waiter: is_asleep(waiter.pid))
            holder.kill()
            for waiter in waiters:
                waiter.join(PATIENCE)
            assert [waiter.exitcode for waiter in waiters] == [0, 0, 0]
    assert told.value == expected


def _acquire(lock):
    lock.acquire()


@our_contexts
@pytest.mark.parametrize("kind", ["Lock", "RLock", "Semaphore"])
def test_who_leaves_in_order_is_not_missed(ctx, kind):
    lock = getattr(ctx, kind)()
    run(ctx, _acquire, (lock,))
    assert not lock.acquire(timeout=0.3)
    if kind != "RLock":
        lock.release()
        assert lock.acquire(False)


def _acquire_and_exit(lock):
    lock.acquire()
    sys.exit(0)


def _acquire_and_forget(locks):
    locks[0].acquire()
    del locks[:]


@pytest.mark.parametrize("target", [_acquire_and_exit, _acquire_and_forget])
def test_other_ways_to_leave_in_order(target):
    ctx = ours.get_context("fork")
    lock = ctx.Lock()
    run(ctx, target, ([lock],) if target is _acquire_and_forget else (lock,))
    assert not lock.acquire(timeout=0.3)


def _acquire_and_die(lock):
    lock.acquire()
    os._exit(0)


def test_who_leaves_without_its_exit_functions_has_died():
    ctx = ours.get_context("fork")
    lock = ctx.Lock()
    run(ctx, _acquire_and_die, (lock,))
    with pytest.raises(OwnerDied):
        lock.acquire(timeout=PATIENCE)


def test_a_program_that_ends_leaves_its_locks_to_its_children():
    code = """
import os
from fenshen import multiprocessing
lock, go = multiprocessing.Lock(), multiprocessing.Semaphore(0)
lock.acquire()
parent = os.getpid()
if os.fork() == 0:
    go.acquire()
    while os.getppid() == parent:
        pass
    print(lock.acquire(timeout=0.3), flush=True)
    lock.release()
    print(lock.acquire(timeout=5), flush=True)
    os._exit(0)
go.release()
"""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=PATIENCE)
    assert (ran.stdout, ran.stderr) == ("False\nTrue\n", "")


def test_nobody_holds_an_event():
    ctx = ours.get_context("fork")
    events = ctx.Semaphore(0)
    events.release()
    _killed_holder(ctx, events)
    assert not events.acquire(timeout=0.3)


def test_a_thread_that_ends_is_no_death():
    lock = ours.Lock()
    thread = threading.Thread(target=lock.acquire)
    thread.start()
    thread.join()
    assert not lock.acquire(timeout=0.3)


def test_what_others_acquired_since_is_theirs():
    ctx = ours.get_context("fork")
    semaphore = ctx.Semaphore(2)
    _killed_holder(ctx, semaphore)
    assert semaphore.acquire(timeout=PATIENCE)
    # The last to acquire it is this process, which is alive.
    assert not semaphore.acquire(timeout=0.3)


def test_the_killed_while_others_come_and_go():
    ctx = ours.get_context("fork")
    lock, ready, counter = ctx.RLock(), ctx.Semaphore(0), ctx.RawValue("i", 0)
    for _ in range(5):
        with started(ctx, _hold, (lock, ready)) as [holder]:
            assert ready.acquire(timeout=PATIENCE)
            with started(ctx, _work, *[(lock, counter)] * 4) as workers:
                holder.kill()
                for worker in workers:
                    worker.join(PATIENCE)
                assert [worker.exitcode for worker in workers] == [0] * 4
    assert counter.value == 5 * 4 * 50


def _work(lock, counter):
    done = 0
    while done < 50:
        try:
            with lock:
                counter.value += 1
                done += 1
        except OwnerDied:
            pass
