"""Locks in an order: `--lock-order` and `ordered`."""

from __future__ import annotations

import threading

import pytest
from commands import RUN, needs_native, run
from fenshen._ordered import ordered

pytestmark = needs_native


def report(program: str) -> str:
    status, out, err = run([*RUN, "--lock-order", "-c", f"import threading\n{program}"])
    assert (status, out) == (0, "")
    return err


def test_two_locks_in_both_orders_are_reported_once() -> None:
    err = report("""
a, b = threading.Lock(), threading.RLock()
def first():
    with a, b: pass
def second():
    with b, a: pass
for target in (first, second) * 3:
    thread = threading.Thread(target=target, name=target.__name__)
    thread.start()
    thread.join()
""")
    assert err.count("fenshen: locks are taken in different orders") == 1
    assert "first took <locked _thread.RLock" in err
    assert "second took <locked _thread.lock" in err
    assert "<string>:5 in first" in err
    assert "<string>:7 in second" in err


def test_a_ring_of_three() -> None:
    err = report("""
a, b, c = (threading.Lock() for _ in range(3))
for x, y in ((a, b), (b, c), (c, a)):
    with x, y: pass
""")
    assert err.count(" took <locked") == 3


@pytest.mark.parametrize(
    "body",
    [
        "with a, b: pass\nwith a, b: pass",
        "with a, b: pass\nwith b: a.acquire(False)",  # no wait, no deadlock
        "with r, a, r: pass\nwith r, r, a: pass",
        "with a: b.acquire()\nb.release()\nwith b: pass",
        "for _ in range(100):\n    x, y = threading.Lock(), threading.Lock()\n    with x, y: pass",
        "c = threading.Condition(a)\nwith b:\n    with c: c.wait(0.01)\nwith b, c: pass",
        "from fenshen._ordered import ordered\nwith ordered(a, b): pass\nwith ordered(b, a): pass",
    ],
)
def test_nothing_to_report(body: str) -> None:
    assert report(f"a, b, r = threading.Lock(), threading.Lock(), threading.RLock()\n{body}") == ""


class Noting:
    def __init__(self, log: list[object], fails: bool = False) -> None:
        self.log = log
        self.fails = fails

    def acquire(self) -> None:
        if self.fails:
            raise OSError("no")
        self.log.append(self)

    def release(self) -> None:
        self.log.remove(self)


def test_ordered_takes_all_in_one_order() -> None:
    log: list[object] = []
    locks = [Noting(log) for _ in range(5)]
    with ordered(*locks, locks[0]):
        taken = list(log)
    assert log == []
    with ordered(*reversed(locks)):
        assert log == taken
    assert sorted(map(id, taken)) == sorted(map(id, locks))


def test_ordered_releases_what_it_took_when_one_fails() -> None:
    log: list[object] = []
    locks = [Noting(log) for _ in range(4)]
    max(locks, key=id).fails = True
    with pytest.raises(OSError, match="no"):
        ordered(*locks).__enter__()
    assert log == []


def test_ordered_refuses_what_is_no_lock() -> None:
    with pytest.raises(TypeError, match=r"ordered\(\) takes locks, not 'int' objects"):
        ordered(threading.Lock(), 3)


def test_two_threads_that_name_them_differently_do_not_hang() -> None:
    a, b = threading.Lock(), threading.Lock()

    def work(*locks: threading.Lock) -> None:
        for _ in range(500):
            with ordered(*locks):
                pass

    threads = [threading.Thread(target=work, args=pair) for pair in ((a, b), (b, a))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()
