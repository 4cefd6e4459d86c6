"""Locks and semaphores that processes share: as the standard library's, side by side."""

from __future__ import annotations

import contextlib
import gc
import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
import threading
import time

import pytest
from fenshen import multiprocessing as ours

from processes.sides import (
    PATIENCE,
    assert_same,
    each_context,
    each_side,
    is_asleep,
    needs_native,
    our_contexts,
    run,
    started,
    until,
)

pytestmark = needs_native

KINDS = ("Lock", "RLock", "Semaphore", "BoundedSemaphore")
each_kind = pytest.mark.parametrize("kind", KINDS)


@each_side
@each_kind
def test_as_a_context(processes, kind):
    lock = getattr(processes, kind)()
    with lock as entered:
        assert entered is True
        assert not lock._semlock._get_value()
        assert (lock._semlock._count(), lock._semlock._is_mine(), lock._semlock._is_zero()) == (1, True, True)
    with pytest.raises(KeyError), lock:
        raise KeyError
    assert (lock._semlock._get_value(), lock._semlock._count()) == (1, 0)


@each_side
def test_an_rlock_again_and_again(processes):
    lock = processes.RLock()
    assert [lock.acquire() for _ in range(3)] == [True] * 3
    assert repr(lock) == "<RLock(MainProcess, 3)>"
    taken = []
    thread = threading.Thread(target=lambda: taken.append(lock.acquire(False)))
    thread.start()
    thread.join()
    assert taken == [False]
    for _ in range(3):
        lock.release()
    with pytest.raises(AssertionError, match="attempt to release recursive lock not owned by thread"):
        lock.release()


def test_words():
    assert_same(
        lambda m: m.Lock(),
        lambda m: m.RLock(),
        lambda m: m.Semaphore(3),
        lambda m: m.BoundedSemaphore(3),
        lambda m: m.Semaphore(0).get_value(),
        lambda m: m.Semaphore(-1),
        lambda m: m.Semaphore("many"),
        lambda m: m.Semaphore(2**40),
        lambda m: m.Semaphore(1.5),
        lambda m: m.Lock().release(),
        lambda m: m.BoundedSemaphore(2).release(),
        lambda m: m.RLock().release(),
        lambda m: m.Semaphore(0).acquire(False),
        lambda m: m.Semaphore(0).acquire(False, 5),
        lambda m: m.Semaphore(0).acquire(True, 0),
        lambda m: m.Semaphore(0).acquire(True, -3),
        lambda m: m.Semaphore(0).acquire(block=True, timeout=0.001),
        lambda m: m.Semaphore(0).acquire(True, "soon"),
        lambda m: m.Semaphore(1).acquire(True, None),
        lambda m: m.Semaphore(1).acquire([1]),
        lambda m: m.Semaphore(1).acquire("yes"),
        lambda m: m.Lock()._semlock.kind,
        lambda m: m.RLock()._semlock.kind,
        lambda m: m.Lock()._semlock.maxvalue,
        lambda m: m.Semaphore()._semlock.maxvalue,
        lambda m: m.Lock()._semlock.name,
        lambda m: m.Lock()._semlock.SEM_VALUE_MAX,
        lambda m: type(m.Lock()._semlock.handle),
        lambda m: pickle.dumps(m.Lock()),
        lambda m: pickle.dumps(m.RLock()),
        lambda m: pickle.dumps(m.Semaphore()),
        lambda m: pickle.dumps(m.Condition()),
    )


@each_side
def test_held_locks_show_who_has_them(processes):
    lock, shown = processes.Lock(), []
    lock.acquire()
    assert repr(lock) == "<Lock(owner=MainProcess)>"
    thread = threading.Thread(target=lambda: shown.append(repr(lock)))
    thread.start()
    thread.join()
    assert shown == ["<Lock(owner=SomeOtherThread)>"]


@each_side
def test_a_lock_is_released_by_anybody(processes):
    lock = processes.Lock()
    lock.acquire()
    thread = threading.Thread(target=lock.release)
    thread.start()
    thread.join()
    assert lock.acquire(timeout=PATIENCE)


@each_kind
def test_timeouts_are_never_early(kind):
    """The standard library's are by some microseconds: they look at the clock of the day."""
    lock = getattr(ours, kind)()
    lock.acquire()
    for timeout in (0.0001, 0.001, 0.0137, 0.12):
        outcome = []

        def attempt(timeout=timeout, outcome=outcome):
            began = time.monotonic()
            outcome.append((lock.acquire(True, timeout), time.monotonic() - began >= timeout))

        thread = threading.Thread(target=attempt)
        thread.start()
        thread.join()
        assert outcome == [(False, True)]


def _count(lock, counter, rounds):
    for _ in range(rounds):
        with lock:
            counter.value += 1


@each_context
@pytest.mark.parametrize("kind", ["Lock", "RLock"])
def test_one_at_a_time(ctx, kind):
    counter = ctx.RawValue("i", 0)
    lock = getattr(ctx, kind)()
    run(ctx, _count, *[(lock, counter, 300)] * 3)
    assert counter.value == 900


def test_twenty_processes_contend():
    ctx = ours.get_context("fork")
    counter, lock = ctx.RawValue("i", 0), ctx.Lock()
    run(ctx, _count, *[(lock, counter, 500)] * 20)
    assert (counter.value, lock._get_value()) == (10_000, 1)


def _stay(semaphore, inside, most, guard, rounds):
    for _ in range(rounds):
        with semaphore:
            with guard:
                inside.value += 1
                most.value = max(most.value, inside.value)
            with guard:
                inside.value -= 1


@each_context
def test_never_too_many(ctx):
    semaphore, guard = ctx.BoundedSemaphore(2), ctx.Lock()
    inside, most = ctx.RawValue("i", 0), ctx.RawValue("i", 0)
    run(ctx, _stay, *[(semaphore, inside, most, guard, 100)] * 4)
    assert most.value <= 2
    assert semaphore.get_value() == 2


def _wait(semaphore):
    assert semaphore.acquire(timeout=PATIENCE)


@our_contexts
def test_a_sleeper_is_woken(ctx):
    semaphore = ctx.Semaphore(0)
    with started(ctx, _wait, *[(semaphore,)] * 2) as children:
        for child in children:
            until(lambda child=child: is_asleep(child.pid))
        semaphore.release()
        semaphore.release()
        for child in children:
            child.join(PATIENCE)
        assert [child.exitcode for child in children] == [0, 0]
    assert semaphore.get_value() == 0


@each_side
def test_a_child_does_not_hold_what_its_parent_holds(processes):
    ctx = processes.get_context("fork")
    lock = ctx.RLock()
    with lock:
        run(ctx, _find_it_taken, (lock,))


def _find_it_taken(lock):
    assert not lock.acquire(False)
    assert (lock._semlock._count(), lock._semlock._is_mine()) == (0, False)


@each_side
def test_what_was_made_for_fork_is_not_spawned(processes):
    if sys.version_info < (3, 11):
        pytest.skip("it is, before 3.11")
    lock = processes.get_context("fork").Lock()
    child = processes.get_context("spawn").Process(target=_wait, args=(lock,))
    with pytest.raises(RuntimeError, match="A SemLock created in a fork context is being shared"):
        child.start()


SIGNALLED = """
import signal, sys
from fenshen import multiprocessing
lock = multiprocessing.Lock()
lock.acquire()
seen = []
def on_alarm(*_):
    seen.append(1)
    if len(seen) == 3:
        raise InterruptedError
signal.signal(signal.SIGALRM, on_alarm)
signal.setitimer(signal.ITIMER_REAL, 0.05, 0.05)
try:
    lock.acquire()
except InterruptedError:
    print(len(seen), lock._get_value())
signal.signal(signal.SIGALRM, lambda *_: lock.release())
print(lock.acquire())
"""


def test_handlers_run_while_it_waits():
    ran = subprocess.run([sys.executable, "-c", SIGNALLED], capture_output=True, text=True, timeout=PATIENCE)
    assert (ran.stdout, ran.stderr) == ("3 0\nTrue\n", "")


def test_ctrl_c_ends_a_wait():
    code = "from fenshen import multiprocessing as m; s = m.Semaphore(0); print('ready', flush=True); s.acquire()"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as program:
        assert program.stdout.readline() == b"ready\n"
        until(lambda: is_asleep(program.pid))
        program.send_signal(signal.SIGINT)
        assert b"KeyboardInterrupt" in program.communicate(timeout=PATIENCE)[1]


def test_each_is_the_standard_librarys_too():
    for kind in (*KINDS, "Event", "Condition"):
        assert isinstance(getattr(ours, kind)(), getattr(multiprocessing.synchronize, kind))
    assert isinstance(ours.Barrier(2), multiprocessing.synchronize.Barrier)


def _segments() -> int:
    with open("/proc/self/maps") as f:
        return sum("memfd:fenshen" in line for line in f)


def test_a_million_locks_leave_nothing():
    gc.collect()
    keep = [ours.Lock() for _ in range(10)]
    before, fds = _segments(), len(os.listdir("/proc/self/fd"))
    for _ in range(1_000_000 if os.environ.get("FENSHEN_SOAK") else 50_000):
        ours.Lock()
    assert _segments() <= before + 1
    assert len(os.listdir("/proc/self/fd")) <= fds + 1
    assert all(lock.acquire(False) for lock in keep)


def test_what_was_shared_is_not_used_again_and_goes_in_the_end():
    ctx = ours.get_context("fork")
    before = _segments()
    for _ in range(3):
        locks = [ctx.Lock() for _ in range(1500)]
        handles = {lock.handle for lock in locks}
        run(ctx, _wait, (locks[0],))
        del locks[:]
        # The child might have them still, for all that is known here.
        assert not handles & {lock.handle for lock in [ctx.Lock() for _ in range(500)]}
    assert _segments() <= before + 2


@each_side
def test_methods_of_with_are_methods(processes):
    lock = processes.RLock()
    before = sys.getrefcount(lock)
    bound = [(lock.__enter__, lock.__exit__) for _ in range(5)]
    assert all(enter() is True for enter, _ in bound)
    assert lock._semlock._count() == 5
    assert [leave(None, None, None) for _, leave in bound] == [None] * 5
    assert bound[0][0].__self__ in (lock, lock._semlock)
    del bound
    with contextlib.ExitStack() as stack:
        for _ in range(3):
            assert stack.enter_context(lock) is True
        assert lock._semlock._count() == 3
    for _ in range(1000):
        with lock:
            pass
    assert sys.getrefcount(lock) == before
    with pytest.raises(TypeError):
        lock.__enter__(1)
    assert type(lock).__enter__(lock) is True
    type(lock).__exit__(lock, None, None, None)
    assert lock._semlock._count() == 0


@pytest.mark.parametrize("kind", ["Lock", "RLock", "Semaphore", "BoundedSemaphore"])
def test_whoever_derives_is_asked(kind):
    calls = []

    class Mixin:
        def acquire(self, *args):
            calls.append("acquire")
            return super().acquire(*args)

    base = type(getattr(ours, kind)())

    class Derived(Mixin, base):
        def release(self):
            calls.append("release")
            super().release()

    lock = Derived(ctx=ours.get_context())
    with ours.Value("i", 0, lock=lock).get_lock():
        pass
    value = ours.Value("i", 0, lock=lock)
    value.value = 5
    assert lock.acquire()
    lock.release()
    assert calls == ["acquire", "release"] * 2
    assert base.acquire.__objclass__ is base
