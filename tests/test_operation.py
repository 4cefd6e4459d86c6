"""What the awaitable methods of queues and locks return: a coroutine to everyone."""

from __future__ import annotations

import asyncio
import collections.abc
import copy
import gc
import inspect
import pickle
import sys
import types
import warnings
import weakref

import pytest
from fenshen import _fenshen
from fenshen._fenshen import Barrier, Condition, Event, Lock, Queue, Semaphore
from on_loops import each_loop, run, turns

OPERATIONS = {
    "Queue.get": lambda: Queue().get(),
    "Queue.put": lambda: Queue().put(1),
    "Queue.join": lambda: Queue().join(),
    "Lock.acquire": lambda: Lock().acquire(),
    "_ContextManagerMixin.__aenter__": lambda: Lock().__aenter__(),
    "Event.wait": lambda: Event().wait(),
    "Condition.wait": lambda: Condition().wait(),
    "Condition.wait_for": lambda: Condition().wait_for(bool),
    "Semaphore.acquire": lambda: Semaphore().acquire(),
    "Barrier.wait": lambda: Barrier(1).wait(),
    "Barrier.abort": lambda: Barrier(1).abort(),
    "sleep": lambda: _fenshen.sleep(0),
}


@pytest.mark.parametrize("name", OPERATIONS)
def test_is_a_coroutine(name):
    op = OPERATIONS[name]()
    assert asyncio.iscoroutine(op)
    assert inspect.iscoroutine(op)
    assert inspect.isawaitable(op)
    assert isinstance(op, collections.abc.Coroutine)
    assert op.__qualname__ == name
    assert op.__name__ == name.rpartition(".")[2]
    assert name in repr(op)
    assert (op.cr_running, op.cr_await) == (False, None)
    op.close()


@pytest.mark.parametrize("name", OPERATIONS)
def test_never_awaited(name):
    def drop():
        OPERATIONS[name]()
        gc.collect()

    with pytest.warns(RuntimeWarning, match=rf"^coroutine '{name}' was never awaited"):
        drop()


def test_never_awaited_as_an_error_is_unraisable(monkeypatch):
    unraisable = []
    monkeypatch.setattr(sys, "unraisablehook", lambda args: unraisable.append(str(args.exc_value)))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Queue().get()
        gc.collect()
    assert unraisable == ["coroutine 'Queue.get' was never awaited"]


def test_closed_or_thrown_into_before_its_start_is_silent():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Queue().get().close()
        op = Queue().get()
        with pytest.raises(KeyError):
            op.throw(KeyError("x"))
        del op
        gc.collect()


def test_used_twice():
    op = Lock().acquire()
    with pytest.raises(StopIteration) as stop:
        op.send(None)
    assert stop.value.value is True
    with pytest.raises(RuntimeError, match="cannot reuse already awaited coroutine"):
        op.send(None)
    with pytest.raises(RuntimeError, match="cannot reuse already awaited coroutine"):
        op.throw(KeyError())
    op.close()


def test_first_value_must_be_none():
    op = Lock().acquire()
    with pytest.raises(TypeError, match="can't send non-None value to a just-started coroutine"):
        op.send(1)
    op.close()


@pytest.mark.parametrize("value", [None, 1, (1, 2), (), ValueError("x"), StopIteration(3), [None]])
def test_any_value_comes_back(value):
    async def main():
        queue = Queue()
        await queue.put(value)
        return await queue.get()

    assert run(main()) is value


def test_its_value_when_driven_by_hand():
    queue = Queue()
    queue.put_nowait((1, 2))
    op = queue.get()
    with pytest.raises(StopIteration) as stop:
        next(op)
    assert stop.value.value == (1, 2)
    assert stop.value.args == ((1, 2),)


def test_nothing_is_kept_alive():
    class Item:
        pass

    async def main():
        queue = Queue()
        item = Item()
        seen = weakref.ref(item)
        await queue.put(item)
        del item
        assert await queue.get() is not None
        return seen()

    assert run(main()) is None


@each_loop
def test_as_a_task_and_in_wait_for(factory):
    async def main():
        queue = Queue()
        task = asyncio.get_running_loop().create_task(queue.get())
        await turns()
        assert "Queue.get" in repr(task)
        queue.put_nowait(1)
        assert await task == 1
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(queue.get(), 0.01)
        queue.put_nowait(2)
        return await asyncio.wait_for(queue.get(), 1)

    assert run(main(), factory) == 2


@each_loop
def test_dropped_while_it_waits(factory):
    """A coroutine that is collected where it waits leaves the queue, and passes on what it was woken for."""

    async def main():
        lock = Lock()
        await lock.acquire()
        first = lock.acquire()
        first.send(None)._asyncio_future_blocking = False
        second = asyncio.ensure_future(lock.acquire())
        await turns()
        assert len(lock._waiters) == 2
        lock.release()
        del first
        await turns()
        assert await second

    run(main(), factory)


def test_stands_for_the_standard_function():
    assert inspect.iscoroutinefunction(Queue.get)
    assert inspect.iscoroutinefunction(Queue().get)
    assert asyncio.iscoroutinefunction(Lock().acquire)
    assert str(inspect.signature(Queue().put)) == str(inspect.signature(asyncio.Queue().put))
    assert inspect.iscoroutinefunction(_fenshen.sleep)
    assert not inspect.iscoroutinefunction(_fenshen.gather)
    assert copy.deepcopy(_fenshen.sleep) is _fenshen.sleep


def test_method_of_another_type():
    with pytest.raises(TypeError, match=r"Queue\.get"):
        Queue.get(Lock())
    with pytest.raises(TypeError):
        Queue.get()


@pytest.mark.parametrize("make", [Queue, Lock, Event, Condition, Semaphore, lambda: Barrier(2)])
def test_pickling_is_refused(make):
    with pytest.raises(TypeError, match="cannot pickle"):
        pickle.dumps(make())


@pytest.mark.parametrize("make", [Queue, Lock, Event, Condition, Semaphore, lambda: Barrier(2)])
def test_weak_references_and_attributes(make):
    made = make()
    made.note = 1
    assert made.__dict__ == {"note": 1}
    seen = weakref.ref(made)
    made.itself = made
    del made
    gc.collect()
    assert seen() is None


def test_standard_classes_are_named():
    for ours in (Queue, Lock, Event, Condition, Semaphore, _fenshen.LifoQueue, _fenshen.BoundedSemaphore):
        assert isinstance(ours(), getattr(asyncio, ours.__name__))
    assert isinstance(_fenshen.PriorityQueue(), asyncio.Queue)

    class Mine(Queue):
        pass

    assert Mine().__class__ is Mine


@each_loop
def test_bound_to_one_loop(factory):
    lock = Lock()

    async def contend():
        held = asyncio.ensure_future(asyncio.wait_for(lock.acquire(), 5))
        await held
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(lock.acquire(), 0.01)
        lock.release()

    run(contend(), factory)
    lock_loop = lock._loop
    assert lock_loop is not None

    async def elsewhere():
        assert await lock.acquire()  # needs no loop
        with pytest.raises(RuntimeError, match="is bound to a different event loop"):
            await lock.acquire()

    run(elsewhere(), factory)


def test_init_again_while_used():
    async def main():
        queue = Queue(1)
        queue.put_nowait(1)
        waiting = asyncio.ensure_future(queue.put(2))
        await turns()
        queue.__init__(5)
        assert queue.maxsize == 5
        assert queue.empty()
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting

    run(main())


@pytest.mark.parametrize("name", ["sleep", "Queue.put", "Lock.acquire"])
def test_a_generator_made_a_coroutine_can_yield_from_it(name):
    @types.coroutine
    def generator():
        return (yield from OPERATIONS[name]())

    async def main():
        return await generator()

    assert run(main()) is (True if name == "Lock.acquire" else None)
