"""Queues that processes share: as the standard library's, side by side."""

from __future__ import annotations

import gc
import os
import pickle
import queue
import sys
import textwrap
import threading
import time
import weakref
from multiprocessing import connection

import pytest
from commands import run as command
from fenshen import multiprocessing as ours
from fenshen.futures import ProcessPoolExecutor

from processes.sides import (
    PATIENCE,
    assert_same,
    each_context,
    each_side,
    is_asleep,
    needs_native,
    our_contexts,
    started,
    until,
)

pytestmark = needs_native

VALUES = [None, 7, -1.5, "text", b"bytes", (1, [2, {"three": 3}]), b"x" * 5000, list(range(20_000)), b"y" * 3_000_000]


class Unpicklable:
    def __reduce__(self):
        raise NotImplementedError("not this one")


class Unloadable:
    def __reduce__(self):
        return int, ("not a number",)


def echo(come, go):
    for value in iter(come.get, "end"):
        go.put(value)


@each_context
@pytest.mark.parametrize("kind", ["Queue", "JoinableQueue", "SimpleQueue"])
def test_what_goes_in_comes_out_of_a_child(ctx, kind):
    come, go = getattr(ctx, kind)(), getattr(ctx, kind)()
    with started(ctx, echo, (come, go)) as (child,):
        for value in VALUES:
            come.put(value)
            assert go.get() == value
        # A simple queue has room for the short ones.
        values = VALUES[:6] if kind == "SimpleQueue" else VALUES
        for value in values:
            come.put(value)
        assert [go.get() for _ in values] == values
        come.put("end")
        child.join(PATIENCE)
        assert child.exitcode == 0


def test_bounds():
    def outcome(q, action):
        try:
            return action(q), q.qsize()
        except Exception as e:
            return type(e), q.qsize()

    def walk(processes):
        q = processes.Queue(2)
        steps = [
            lambda q: (q.empty(), q.full(), q._maxsize),
            lambda q: q.get_nowait(),
            lambda q: q.get(False),
            lambda q: q.get(timeout=0.01),
            lambda q: q.get(True, -1),
            lambda q: q.put("a"),
            lambda q: q.put_nowait("b"),
            lambda q: q.full(),
            lambda q: q.put_nowait("c"),
            lambda q: q.put("c", False),
            lambda q: q.put("c", block=True, timeout=0.01),
            lambda q: q.put("c", True, -1),
            lambda q: q.get(timeout=60),
            lambda q: q.full(),
            lambda q: q.get(block=True),
            lambda q: q.qsize(),
        ]
        return [outcome(q, step) for step in steps]

    assert_same(walk)


@each_side
def test_the_exceptions_are_those_of_queue(processes):
    q = processes.Queue(1)
    with pytest.raises(queue.Empty):
        q.get_nowait()
    q.put(1)
    with pytest.raises(queue.Full):
        q.put_nowait(2)


def test_wrong_arguments():
    assert_same(
        lambda p: type(_error(lambda: p.Queue().put())),
        lambda p: type(_error(lambda: p.Queue().get(1, 2, 3))),
        lambda p: type(_error(lambda: p.Queue().get(timeout="soon"))),
        lambda p: type(_error(lambda: p.Queue(1).put(1, timeout="soon") or p.Queue(1).get(timeout=object()))),
        lambda p: type(_error(lambda: p.SimpleQueue().get(1))),
    )


def _error(action):
    with pytest.raises(Exception) as caught:  # noqa: PT011
        action()
    return caught.value


@each_side
def test_closed(processes):
    for q in (processes.Queue(), processes.JoinableQueue()):
        q.put(1)
        q.close()
        q.join_thread()
        for action in (lambda q=q: q.put(2), q.get, q.get_nowait, lambda q=q: q.put_nowait(3)):
            with pytest.raises(ValueError, match=r"Queue <.*> is closed"):
                action()
    unused = processes.Queue()
    unused.close()
    unused.join_thread()
    assert unused.empty()
    assert unused._closed
    with pytest.raises(AssertionError):
        processes.Queue().join_thread()


@each_side
def test_a_closed_simple_queue(processes):
    q = processes.SimpleQueue()
    q.put(1)
    assert not q.empty()
    q.close()
    assert (q._reader.closed, q._writer.closed) == (True, True)
    for action in (lambda: q.put(1), q.get, q.empty):
        with pytest.raises(OSError, match="handle is closed"):
            action()


@each_side
def test_what_cannot_be_pickled_is_dropped(processes, capfd):
    q = processes.Queue()
    q.put(Unpicklable())
    q.put("after")
    assert q.get(timeout=PATIENCE) == "after"
    assert q.qsize() == 0
    err = capfd.readouterr().err
    assert "NotImplementedError: not this one" in err
    assert "Traceback" in err


class Told(Unpicklable):
    pass


def test_whoever_derives_is_told_what_cannot_be_pickled():
    def told(processes):
        from multiprocessing import queues as theirs

        from fenshen.multiprocessing import queues as mine

        errors = []

        class Safe((mine if processes is ours else theirs).Queue):
            @staticmethod
            def _on_queue_feeder_error(e, obj):
                errors.append((type(e), type(obj)))

        q = Safe(ctx=processes.get_context())
        q.put(Told())
        q.put(1)
        return q.get(timeout=PATIENCE), errors, q.qsize()

    assert_same(told)


@each_side
def test_a_simple_queue_raises_what_cannot_be_pickled(processes):
    q = processes.SimpleQueue()
    with pytest.raises(NotImplementedError):
        q.put(Unpicklable())
    assert q.empty()


@each_side
@pytest.mark.parametrize("kind", ["Queue", "SimpleQueue"])
def test_what_cannot_be_loaded_raises_in_get_alone(processes, kind):
    q = getattr(processes, kind)()
    q.put(Unloadable())
    q.put("after")
    with pytest.raises(ValueError, match="not a number"):
        q.get()
    assert q.get() == "after"


@each_side
def test_registered_reducers(processes):
    from multiprocessing.reduction import ForkingPickler

    class Registered:
        pass

    ForkingPickler.register(Registered, lambda r: (str, ("reduced",)))
    try:
        q = processes.SimpleQueue()
        q.put([Registered()])
        assert q.get() == ["reduced"]
    finally:
        del ForkingPickler._extra_reducers[Registered]


@each_context
def test_task_done_and_join(ctx):
    q = ctx.JoinableQueue()
    with pytest.raises(ValueError, match="called too many times"):
        q.task_done()
    with started(ctx, _work_off, (q,)) as (child,):
        for i in range(200):
            q.put(i)
        q.join()
        assert q.empty()
        for i in range(10):
            q.put(i)
        q.join()
        q.put(None)
        child.join(PATIENCE)
        assert child.exitcode == 0


def _work_off(q):
    while q.get() is not None:
        q.task_done()


def _put_many(q, name, count):
    for i in range(count):
        q.put((name, i))


def _get_many(q, back, count):
    back.put([q.get() for _ in range(count)])


@our_contexts
def test_each_item_once_and_in_its_putter_s_order(ctx):
    putters, getters, each = 3, 2, 20_000 if ctx.get_start_method() == "fork" else 2000
    q, back = ctx.Queue(), ctx.Queue()
    share = putters * each // getters
    with (
        started(ctx, _put_many, *((q, name, each) for name in range(putters))),
        started(ctx, _get_many, *((q, back, share) for _ in range(getters))),
    ):
        taken = [back.get(timeout=PATIENCE) for _ in range(getters)]
    for of_one in taken:
        for name in range(putters):
            numbers = [i for n, i in of_one if n == name]
            assert numbers == sorted(numbers)
    every = sorted(item for of_one in taken for item in of_one)
    assert every == [(name, i) for name in range(putters) for i in range(each)]


@each_side
def test_an_unbounded_put_never_waits(processes):
    q = processes.Queue()
    for i in range(100):
        q.put((i, bytes(100_000)))
    assert q.qsize() == 100
    assert [q.get()[0] for _ in range(100)] == list(range(100))
    q.close()
    q.join_thread()


class GetsMore:
    """What is taken from another queue, when it is loaded."""

    def __init__(self, q, text):
        self.state = q, text

    def __setstate__(self, state):
        q, text = state["state"]
        self.more = q.get()
        self.text = text


@each_side
def test_long_items_within_others(processes):
    q = processes.Queue()
    text, items = "\N{SNOWMAN}" * 50_000, [b"a" * 70_000, {"b": b"b" * 100_000}, ("c" * 200_000, [b"c" * 66_000, None])]
    for item in [*items, text]:
        q.put(item)
    assert [q.get() for _ in items] == items
    assert q.get() == text


def test_long_items_that_take_others_as_they_are_loaded():
    q, other = ours.Queue(), ours.Queue()
    q.put(GetsMore(other, b"x" * 300_000))
    other.put(b"y" * 100_000)
    taken = q.get()
    assert taken.more == b"y" * 100_000
    assert taken.text == b"x" * 300_000


def test_long_items_by_several_threads():
    q = ours.Queue()

    def put(letter):
        for size in range(20_000, 120_000, 1000):
            q.put([letter * size, letter])

    threads = [threading.Thread(target=put, args=(letter,)) for letter in (b"a", b"b", b"c")]
    for thread in threads:
        thread.start()
    taken = [q.get(timeout=PATIENCE) for _ in range(300)]
    for thread in threads:
        thread.join()
    for letter in (b"a", b"b", b"c"):
        assert [item for item, of in taken if of == letter] == [letter * n for n in range(20_000, 120_000, 1000)]


def _put_and_end(q, count, join):
    if not join:
        q.cancel_join_thread()
    for i in range(count):
        q.put((i, bytes(10_000)))


@each_context
def test_a_process_ends_when_what_it_put_is_on_its_way(ctx):
    q = ctx.Queue()
    with started(ctx, _put_and_end, (q, 300, True)) as (child,):
        assert [q.get(timeout=PATIENCE)[0] for _ in range(300)] == list(range(300))
        child.join(PATIENCE)
        assert child.exitcode == 0


@each_side
def test_a_process_does_not_wait_if_it_is_told_not_to(processes):
    q = processes.Queue()
    with started(processes.get_context("fork"), _put_and_end, (q, 300, False)) as (child,):
        child.join(PATIENCE)
        assert child.exitcode == 0


@each_side
def test_a_waiting_get_is_woken(processes):
    q = processes.Queue()
    taken = []
    thread = threading.Thread(target=lambda: taken.append(q.get()), daemon=True)
    thread.start()
    time.sleep(0.05)
    q.put("late")
    thread.join(PATIENCE)
    assert taken == ["late"]


@each_side
def test_a_waiting_put_is_woken(processes):
    q = processes.Queue(1)
    q.put(1)
    thread = threading.Thread(target=q.put, args=(2,), daemon=True)
    thread.start()
    time.sleep(0.05)
    assert q.get() == 1
    thread.join(PATIENCE)
    assert q.get() == 2


@each_side
def test_the_reader_can_be_polled(processes):
    q, other = processes.SimpleQueue(), processes.Queue()
    assert not q._reader.poll()
    assert connection.wait([q._reader, other._reader], 0) == []
    q.put("one")
    assert q._reader.poll(PATIENCE)
    assert connection.wait([q._reader, other._reader], PATIENCE) == [q._reader]
    other.put("two")
    assert other._reader.poll(PATIENCE)
    assert len(connection.wait([q._reader, other._reader], PATIENCE)) == 2
    assert (q.get(), other.get()) == ("one", "two")
    assert connection.wait([q._reader, other._reader], 0) == []


@each_side
def test_the_ends_are_connections(processes):
    q = processes.SimpleQueue()
    assert isinstance(q._reader, connection.Connection)
    q._writer.send(["an", "object"])
    assert q._reader.recv() == ["an", "object"]
    q._writer.send_bytes(b"bytes")
    assert q._reader.recv_bytes() == b"bytes"
    q._writer.send_bytes(b"more bytes", 5)
    into = bytearray(10)
    assert q._reader.recv_bytes_into(into) == 5
    assert bytes(into[:5]) == b"bytes"
    with q._rlock:
        assert q.empty()


def test_isinstance_and_generics():
    from multiprocessing import queues as theirs

    from fenshen.multiprocessing import queues as mine

    for name in ("Queue", "JoinableQueue", "SimpleQueue"):
        assert isinstance(getattr(ours, name)(), getattr(theirs, name))
        if hasattr(theirs.Queue, "__class_getitem__"):
            assert getattr(mine, name)[int].__args__ == (int,)
    assert isinstance(ours.JoinableQueue(), mine.Queue)


def test_pickled_elsewhere_it_says_so():
    assert_same(
        lambda p: pickle.dumps(p.Queue()),
        lambda p: pickle.dumps(p.JoinableQueue()),
        lambda p: pickle.dumps(p.SimpleQueue()),
    )


def _answer(q, value):
    q.put(value)
    return value


def _make_and_answer(value):
    made = ours.Queue()
    made.put(value)
    return made


@our_contexts
def test_through_pools_and_other_queues(ctx):
    outer, inner = ctx.Queue(), ctx.Queue()
    inner.put("from here")
    outer.put([inner])
    (again,) = outer.get()
    assert again.get() == "from here"
    again.put("and back")
    assert inner.get() == "and back"
    with ProcessPoolExecutor(1, mp_context=ctx) as pool:
        simple = ctx.SimpleQueue()
        assert pool.submit(_answer, simple, "from a pool").result(PATIENCE) == "from a pool"
        assert simple.get() == "from a pool"
        assert pool.submit(_make_and_answer, "made there").result(PATIENCE).get() == "made there"


def test_it_goes_when_nobody_has_it():
    def open_files():
        return len(os.listdir("/proc/self/fd"))

    ours.Queue().put(1)
    gc.collect()
    before = open_files()
    for kind in (ours.Queue, ours.JoinableQueue, ours.SimpleQueue):
        q = kind()
        q.put("something")
        assert connection.wait([q._reader], PATIENCE)
        gone = weakref.ref(q)
        del q
        assert gone() is None
    assert open_files() == before


def test_an_interrupted_get():
    code = """
        import os, signal, threading, time
        from fenshen import multiprocessing
        q = multiprocessing.Queue()
        threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()
        try:
            q.get()
        except KeyboardInterrupt:
            q.put("goes on")
            print("interrupted,", q.get())
        """
    assert command([sys.executable, "-c", textwrap.dedent(code)]).out == "interrupted, goes on\n"


def _put_for_ever(q):
    for i in range(10**9):
        q.put((i, b"z" * (i % 3000)))


def _get_for_ever(q):
    while True:
        i, zs = q.get()
        assert len(zs) == i % 3000


@our_contexts
def test_the_killed_harm_nobody(ctx):
    rounds = 200 if os.environ.get("FENSHEN_SOAK") else 15
    q = ctx.Queue(500)
    q._reader.fileno()
    for i in range(rounds if ctx.get_start_method() == "fork" else 3):
        with started(ctx, _put_for_ever, (q,), (q,)), started(ctx, _get_for_ever, (q,), (q,)) as getters:
            until(lambda: not q.empty())
            time.sleep(0.003 * (i % 7))
            assert all(getter.is_alive() for getter in getters)
    deadline = time.monotonic() + PATIENCE
    while q.qsize():
        assert time.monotonic() < deadline
        try:
            i, zs = q.get(timeout=1)
        except queue.Empty:
            continue
        assert len(zs) == i % 3000
    for i in range(1000):
        q.put(i, timeout=PATIENCE)
        assert q.get(timeout=PATIENCE) == i
    assert connection.wait([q._reader], 0) == []


def _wait_in_get(q):
    q.get()


def test_a_killed_sleeper_takes_no_wake_up_along():
    ctx = ours.get_context("fork")
    q, done = ctx.Queue(), ctx.Queue()
    with started(ctx, _wait_in_get, (q,)) as (doomed,), started(ctx, echo, (q, done)):
        until(lambda: is_asleep(doomed.pid))
        doomed.kill()
        doomed.join()
        for i in range(50):
            q.put(i)
            assert done.get(timeout=PATIENCE) == i


def _fork_and_put(q):
    for _ in range(50):
        q.put(("parent", bytes(10_000)))
    pid = os.fork()
    if pid == 0:
        q.put(("child", b""))
        q.close()
        q.join_thread()
        os._exit(0)
    os.waitpid(pid, 0)


def test_a_forked_child_does_not_put_what_its_parent_keeps():
    ctx = ours.get_context("fork")
    q = ctx.Queue()
    with started(ctx, _fork_and_put, (q,)):
        names = [q.get(timeout=PATIENCE)[0] for _ in range(51)]
        assert sorted(names) == ["child"] + ["parent"] * 50
        with pytest.raises(queue.Empty):
            q.get(timeout=0.05)


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_under_install_the_standard_pool_works_on_them(method, tmp_path):
    code = """
        import multiprocessing.pool, os, signal, sys
        standard = multiprocessing.pool.Pool
        import fenshen
        fenshen.install(processes=True)
        if __name__ == "__main__":
            context = multiprocessing.get_context(sys.argv[1])
            pool = standard(2, context=context)
            print(type(pool._inqueue).__module__, pool.map(abs, range(-2, 2)), *(p.pid for p in pool._pool), flush=True)
            os.kill(os.getpid(), signal.SIGKILL)
        """
    program = tmp_path / "program.py"
    program.write_text(textwrap.dedent(code))
    out = command([sys.executable, str(program), method]).out
    assert out.startswith("fenshen.multiprocessing.queues [2, 1, 0, 1] ")
    for pid in out.split()[5:]:
        until(lambda pid=pid: not os.path.exists(f"/proc/{pid}"))


def test_under_install_they_are_the_standard_ones():
    code = """
        import fenshen
        fenshen.install(processes=True)
        import multiprocessing, multiprocessing.queues, fenshen.multiprocessing.queues as ours
        assert multiprocessing.queues.Queue is not ours.Queue  # a library may derive from it
        assert isinstance(multiprocessing.Queue(), multiprocessing.queues.Queue)
        assert type(multiprocessing.Queue()) is ours.Queue
        assert type(multiprocessing.SimpleQueue()) is ours.SimpleQueue
        assert type(multiprocessing.get_context("spawn").JoinableQueue(3)) is ours.JoinableQueue
        print("ours")
        """
    assert command([sys.executable, "-c", textwrap.dedent(code)]).out == "ours\n"
