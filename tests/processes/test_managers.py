"""Managers: as the standard library's, side by side."""

from __future__ import annotations

import array
import gc
import multiprocessing
import os
import pickle
import queue
import signal
import threading
import time
from multiprocessing import managers as standard

import pytest
from fenshen import multiprocessing as ours
from fenshen.multiprocessing import managers

from processes.sides import (
    METHODS,
    PATIENCE,
    SIDES,
    needs_native,
    our_contexts,
    outcome,
    run,
    started,
    until,
)

pytestmark = needs_native

each_manager = pytest.mark.parametrize("manager", SIDES, indirect=True)
each_method = pytest.mark.parametrize("method", METHODS)


@pytest.fixture
def manager(request):
    with SIDES[request.param].get_context("fork").Manager() as manager:
        yield manager


@pytest.fixture
def both():
    with multiprocessing.get_context("fork").Manager() as theirs, ours.get_context("fork").Manager() as mine:
        yield theirs, mine


def assert_same(both, *actions):
    for action in actions:
        theirs, mine = (last_line(outcome(lambda: action(manager))) for manager in both)  # noqa: B023
        assert mine == theirs


def last_line(text):
    """Without the lines of a remote traceback, which name files."""
    return text.strip("-\n").rpartition("\n")[2] if text.startswith("RemoteError") else text


def test_classes_derive_from_the_standard_library_s(both):
    _, mine = both
    assert isinstance(mine, standard.SyncManager)
    for name in standard.SyncManager._registry:
        assert hasattr(mine, name) == hasattr(standard.SyncManager, name)
    for make in (mine.dict, mine.list, mine.Lock, mine.Event, mine.Namespace, mine.Queue):
        assert isinstance(make(), standard.BaseProxy)
    assert set(standard.__all__) <= set(dir(managers))


def test_reprs_and_types(both):
    assert_same(
        both,
        lambda m: m.dict({1: 2}),
        lambda m: str(m.dict({1: 2})),
        lambda m: str(m.list([1])),
        lambda m: str(m.Namespace(x=1, _y=2)),
        lambda m: str(m.Array("i", [1, 2])),
        lambda m: str(m.Value("i", 7)),
        lambda m: m.Value("i", 7),
        lambda m: m.Lock(),
        lambda m: str(m.Lock()),
        lambda m: str(m.Event()),
        lambda m: str(m.Semaphore(3)),
        lambda m: str(m.BoundedSemaphore(3)),
        lambda m: str(m.Barrier(2)),
        lambda m: type(m.Queue()).__name__,
        lambda m: m.Condition(),
    )


def test_dicts_and_lists(both):
    def change(m):
        d, items = m.dict(a=1), m.list(range(5))
        d["b"] = [1, 2]
        d.update(c=3)
        items += [7, 8]
        items.append({1, 2})
        items[1:3] = "xy"
        items.sort(key=str)
        return dict(d), d.pop("a"), sorted(d.keys()), list(items), len(items), 7 in items, items[-1], list(iter(d))

    assert_same(
        both,
        change,
        lambda m: m.dict()["missing"],
        lambda m: m.list()[4],
        lambda m: m.list([3]).index(5),
        lambda m: [*m.list([1]), 2],
        lambda m: m.list([1]) * 3,
        lambda m: m.list().nothing(),
        lambda m: m.dict(1, 2).copy,
    )


def test_errors_of_locks(both):
    def release_too_often(m):
        s = m.BoundedSemaphore(1)
        s.acquire()
        s.release()
        s.release()

    assert_same(
        both,
        lambda m: m.Lock().release(),
        lambda m: m.RLock().release(),
        release_too_often,
        lambda m: m.Semaphore(-1),
        lambda m: m.Lock().acquire(False, 1),
        lambda m: m.Lock().acquire(True, -2),
        lambda m: m.Lock().acquire(True, "soon"),
        lambda m: m.Semaphore().acquire(False, 1),
        lambda m: m.Condition().wait(),
        lambda m: m.Condition().notify(),
        lambda m: m.Condition(m.Lock()).notify_all(),
        lambda m: m.Barrier(0).parties,
        lambda m: m.Event().wait("soon"),
    )


def test_locks(both):
    def lock(m):
        lock, rlock, semaphore = m.Lock(), m.RLock(), m.Semaphore(2)
        with lock as entered:
            got = [entered, lock.acquire(False), lock.acquire(True, 0.01), lock.acquire(timeout=0.01)]
        got += [rlock.acquire(), rlock.acquire(), rlock.release(), rlock.release()]
        return got, [semaphore.acquire(False) for _ in range(3)], semaphore.release(), semaphore.acquire()

    assert_same(both, lock)


def test_values(both):
    class Mine:
        pass

    values = [1, -5, 2.5, "text", b"bytes", None, True, (1, [2]), {"a": {1}}, 1 << 70, "\udc80", "x" * 5000, range(3)]

    def each(m):
        value = m.Value("i", 0)
        got = []
        for new in values:
            value.value = new
            got.append((value.value, type(value.get())))
        return got

    assert_same(both, each, lambda m: m.Value("i", 0).set(Mine()), lambda m: m.Value(typecode="d", value=1.5).value)


def test_a_value_keeps_what_it_refers_to(both):
    def nested(m):
        value = m.Value("i", 0)
        value.value = m.list([1, 2])
        gc.collect()
        return list(value.value)

    assert_same(both, nested)


def test_containers_of_proxies(both):
    def nested(m):
        outer = m.dict(inner=m.list([1]), lock=m.Lock(), event=m.Event(), value=m.Value("i", 3))
        outer["inner"].append(2)
        outer["event"].set()
        outer["lock"].acquire()
        outer["value"].value += 1
        taken = outer["lock"].acquire(False)
        return list(outer["inner"]), outer["event"].is_set(), taken, outer["value"].value, m._number_of_objects()

    assert_same(both, nested)


def test_references_are_counted(both):
    def count(m):
        before = m._number_of_objects()
        made = [m.dict(), m.Lock(), m.Value("i", 1), m.Queue()]
        again = pickle.loads(pickle.dumps(made))
        with_all = m._number_of_objects() - before
        del made
        still = m._number_of_objects() - before
        del again
        gc.collect()
        return with_all, still, m._number_of_objects() - before

    assert_same(both, count)


class Counter:
    def __init__(self, start=0):
        self.count = start

    def add(self, n=1):
        self.count += n
        return self.count

    def fail(self):
        raise KeyError("no", self.count)

    def numbers(self):
        return iter(range(self.count))

    def lock(self):
        return threading.Lock()

    def _hidden(self):
        return 1


class TheirManager(standard.BaseManager):
    pass


class MyManager(managers.BaseManager):
    pass


for kind in (TheirManager, MyManager):
    kind.register("Counter", Counter)
    kind.register("Numbers", Counter, method_to_typeid={"numbers": "Iterator"})
    kind.register("Part", Counter, exposed=("add", "_hidden"))
    kind.register("Broken", lambda: 1 / 0)
    kind.register("Iterator", proxytype=standard.IteratorProxy, create_method=False)
    kind.register("shared", dict, proxytype=standard.DictProxy)


def test_registered_classes():
    with TheirManager() as theirs, MyManager() as mine:
        assert_same(
            (theirs, mine),
            lambda m: [m.Counter(5).add(), m.Counter(start=1).add(n=2)],
            lambda m: m.Counter().fail(),
            lambda m: m.Counter()._hidden(),
            lambda m: m.Part()._hidden(),
            lambda m: m.Part()._callmethod("fail"),
            lambda m: list(m.Numbers(3).numbers()),
            lambda m: type(m.Counter()).__name__,
            lambda m: m.shared(a=1)["a"],
            lambda m: [pickle.loads(pickle.dumps(c)).add() for c in [m.Counter(2)]],
        )
        for manager in (theirs, mine):
            with pytest.raises(standard.RemoteError, match="ZeroDivisionError"):
                manager.Broken()
            with pytest.raises(standard.RemoteError, match="cannot pickle"):
                manager.Counter().lock()


def use_everything(d, items, q, lock, event, value, namespace, condition, barrier, semaphore):
    for _ in range(200):
        with lock:
            value.value += 1
    d["child"] = os.getpid()
    items.append("one")
    namespace.seen = True
    q.put("from the child")
    barrier.wait(PATIENCE)
    with condition:
        condition.notify()
    semaphore.release()
    assert event.wait(PATIENCE)


@each_method
def test_in_children(method):
    for side in SIDES.values():
        ctx = side.get_context(method)
        with ctx.Manager() as m:
            parts = [m.dict(), m.list(), m.Queue(), m.Lock(), m.Event(), m.Value("i", 0), m.Namespace()]
            condition, barrier, semaphore = m.Condition(), m.Barrier(3), m.Semaphore(0)
            with condition, started(ctx, use_everything, *[(*parts, condition, barrier, semaphore)] * 2) as children:
                barrier.wait(PATIENCE)
                assert condition.wait(PATIENCE)
                parts[4].set()
                condition.release()
                for child in children:
                    child.join(PATIENCE)
                condition.acquire()
                assert [child.exitcode for child in children] == [0, 0]
            d, items, q, _, _, value, namespace = parts
            assert value.value == 400
            assert list(items) == ["one", "one"]
            assert namespace.seen
            assert [q.get(timeout=PATIENCE) for _ in range(2)] == ["from the child"] * 2
            assert d["child"] != os.getpid()
            assert semaphore.acquire(False)
            assert semaphore.acquire(False)
            assert not semaphore.acquire(False)


def wait_for(event):
    event.wait()


def hold(lock, held):
    lock.acquire()
    held.set()
    time.sleep(PATIENCE)


@each_manager
def test_waiters_end_with_the_manager(manager):
    ctx = multiprocessing.get_context("fork")
    event = manager.Event()
    lock = manager.Lock()
    lock.acquire()
    with started(ctx, wait_for, (event,)) as (child,):
        errors = queue.Queue()

        def wait(what):
            try:
                what()
            except BaseException as e:
                errors.put(e)

        threads = [threading.Thread(target=wait, args=(what,)) for what in (event.wait, lock.acquire)]
        for thread in threads:
            thread.start()
        time.sleep(0.3)
        os.kill(manager._process.pid, signal.SIGKILL)
        got = [errors.get(timeout=PATIENCE) for _ in threads]
        assert all(isinstance(e, (EOFError, OSError)) for e in got), got
        child.join(PATIENCE)
        assert child.exitcode == 1
        for thread in threads:
            thread.join(PATIENCE)
    for use in (event.is_set, lock.release, event.set, manager.dict):
        with pytest.raises((EOFError, OSError)):
            use()


@each_manager
def test_after_shutdown(manager):
    parts = [
        manager.dict(),
        manager.Lock(),
        manager.Value("i", 1),
        manager.Event(),
        manager.Queue(),
        manager.Barrier(1),
    ]
    uses = ["copy", "acquire", "get", "is_set", "qsize", "wait"]
    for part, use in zip(parts, uses, strict=True):
        getattr(part, use)()
    manager.shutdown()
    until(lambda: not manager._process.is_alive())
    for part, use in zip(parts, uses, strict=True):
        with pytest.raises((EOFError, OSError)):
            getattr(part, use)()


@each_manager
def test_a_client_killed_at_any_point_harms_nobody(manager):
    ctx = multiprocessing.get_context("fork")
    d, items, q, value, event = manager.dict(), manager.list(), manager.Queue(), manager.Value("i", 0), manager.Event()

    def work():
        n = 0
        while True:
            n += 1
            d[n % 7] = "x" * n
            items[:] = [n] * 20
            q.put(n)
            value.value = (n, n)
            event.set()
            event.clear()
            event.wait(0.0001)

    for turn in range(6):
        with started(ctx, work, ()) as (child,):
            until(lambda: q.qsize() > 10)
            time.sleep(0.003 * turn)
            os.kill(child.pid, signal.SIGKILL)
            child.join(PATIENCE)
        d["after"] = turn
        assert d["after"] == turn
        assert len(set(items)) == 1
        a, b = value.value
        assert a == b
        value.value = (0, 0)
        event.clear()
        assert not event.wait(0.01)
        while not q.empty():
            q.get()


def test_a_waiter_killed_at_a_condition_is_not_notified():
    ctx = ours.get_context("fork")
    with ctx.Manager() as m:
        condition, came, waiting = m.Condition(), m.Queue(), m.Semaphore(0)

        def wait(name):
            with condition:
                waiting.release()
                condition.wait()
                came.put(name)

        with started(ctx, wait, ("killed",), ("lives",)) as (first, second):
            for _ in range(2):
                assert waiting.acquire(timeout=PATIENCE)
            with condition:
                os.kill(first.pid, signal.SIGKILL)
                first.join(PATIENCE)
                condition.notify()
            assert came.get(timeout=PATIENCE) == "lives"
            second.join(PATIENCE)
        assert came.empty()


def test_a_killed_owner_is_told_of():
    ctx = ours.get_context("fork")
    with ctx.Manager() as m:
        lock, held = m.Lock(), m.Event()
        with started(ctx, hold, (lock, held)) as (child,):
            assert held.wait(PATIENCE)
            os.kill(child.pid, signal.SIGKILL)
            child.join(PATIENCE)
        with pytest.raises(ours.OwnerDied):
            lock.acquire()
        lock.release()
        assert lock.acquire(timeout=PATIENCE)


@each_manager
def test_barriers_and_conditions(manager):
    barrier, condition, log = manager.Barrier(3), manager.Condition(), manager.list()
    ready = manager.Semaphore(0)

    def meet():
        for _ in range(3):
            log.append(barrier.wait(PATIENCE))

    threads = [threading.Thread(target=meet) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert sorted(log) == sorted([0, 1, 2] * 3)
    assert (barrier.parties, barrier.n_waiting, barrier.broken) == (3, 0, False)
    with pytest.raises(threading.BrokenBarrierError):
        barrier.wait(0.01)
    assert barrier.broken
    barrier.reset()
    assert not barrier.broken
    barrier.abort()
    with pytest.raises(threading.BrokenBarrierError):
        barrier.wait()

    def wait(number):
        with condition:
            ready.release()
            assert condition.wait(PATIENCE)
            log.append(number)

    log[:] = []
    threads = [threading.Thread(target=wait, args=(n,)) for n in range(3)]
    for thread in threads:
        thread.start()
        assert ready.acquire(timeout=PATIENCE)
    with condition:
        condition.notify(2)
    until(lambda: len(log) == 2)
    assert sorted(log) == [0, 1]
    with condition:
        assert not condition.wait(0.01)
        condition.notify_all()
    for thread in threads:
        thread.join(PATIENCE)
    assert len(log) == 3
    with condition:
        assert condition.wait_for(lambda: True)
        assert not condition.wait_for(lambda: False, 0.01)


def test_a_condition_of_another_lock(both):
    def share(m):
        lock = m.Lock()
        condition = m.Condition(lock)
        with condition:
            return lock.acquire(False), condition.wait(0.01), condition.notify_all()

    def far(m):
        barrier = m.Barrier(1, int, 5)
        return barrier.wait(), barrier.parties

    assert_same(both, share, far)


@each_manager
def test_an_rlock_is_owned_through_each_of_its_proxies(manager):
    d = manager.dict(lock=manager.RLock())
    with d["lock"], d["lock"]:
        again = pickle.loads(pickle.dumps(d["lock"]))
        assert again.acquire(timeout=PATIENCE)
        again.release()


@each_manager
def test_threads_that_come_at_once_get_the_same_lock(manager):
    for _ in range(5):
        lock, start, failed = manager.RLock(), threading.Barrier(4), []

        def work(lock=lock, start=start, failed=failed):
            start.wait(PATIENCE)
            try:
                for _ in range(20):
                    with lock:
                        pass
            except RuntimeError as e:
                failed.append(e)

        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE)
        assert not failed


@each_manager
def test_big_messages(manager):
    d = manager.dict()
    for size in (10, 60_000, 65_536, 200_000, 3_000_000):
        d["x"] = b"x" * size
        assert d["x"] == b"x" * size
    d["array"] = array.array("d", range(100_000))
    assert sum(d["array"]) == sum(range(100_000))


@each_manager
def test_many_threads(manager):
    d, value, lock = manager.dict(), manager.Value("i", 0), manager.Lock()

    def work(n):
        for i in range(50):
            d[n, i] = i
            with lock:
                value.value += 1

    threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert len(d) == 400
    assert value.value == 400


@pytest.mark.parametrize("kind", [TheirManager, MyManager], ids=["stdlib", "fenshen"])
@pytest.mark.parametrize("client", [TheirManager, MyManager], ids=["stdlib", "fenshen"])
@pytest.mark.parametrize("address", [("127.0.0.1", 0), None], ids=["tcp", "unix"])
def test_remote_managers(kind, client, address):
    with kind(address=address, authkey=b"secret") as server:
        server.shared(a=1)
        remote = client(address=server.address, authkey=b"secret")
        remote.connect()
        assert remote.Counter(3).add() == 4
        d = remote.shared()
        d["nested"] = [1, 2]
        assert d["nested"] == [1, 2]
        assert dict(d.items()) == {"nested": [1, 2]}
        wrong = client(address=server.address, authkey=b"wrong")
        with pytest.raises(multiprocessing.AuthenticationError):
            wrong.connect()


@our_contexts
def test_an_interrupted_call_is_not_answered_to_the_next(ctx):
    with ctx.Manager() as m:
        q, d = m.Queue(), m.dict(a=1)
        signal.signal(signal.SIGALRM, lambda *_: 1 / 0)
        try:
            for _ in range(3):
                signal.setitimer(signal.ITIMER_REAL, 0.05)
                with pytest.raises(ZeroDivisionError):
                    q.get()
                assert d["a"] == 1
        finally:
            signal.signal(signal.SIGALRM, signal.SIG_DFL)


def test_a_call_from_a_signal_handler_in_the_middle_of_one(both):
    _, mine = both
    d, q, seen = mine.dict(a=1), mine.Queue(), []
    signal.signal(signal.SIGALRM, lambda *_: (seen.append(d["a"]), q.put("woken")))
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        assert q.get() == "woken"
        assert seen == [1]
    finally:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)


def read(d, key):
    assert d[key] == 1


def test_after_a_fork_nobody_speaks_through_the_parent_s_line(both):
    for manager in both:
        d = manager.dict(a=1)
        assert d["a"] == 1
        run(multiprocessing.get_context("fork"), read, *[(d, "a")] * 4)
        assert d["a"] == 1


def test_pools_of_managers(both):
    def pool(m):
        with m.Pool(2) as pool:
            return pool.map(abs, [-1, 2]), pool.apply_async(abs, (-3,)).get(PATIENCE), list(pool.imap(abs, [-4, 5]))

    assert_same(both, pool)
