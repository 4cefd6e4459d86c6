"""Deadlocks of threads: what is an error, what is a report, and what is neither."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

import pytest
from commands import RUN, end, killed_when_it_says, needs_native, run, start

pytestmark = needs_native

HERE = Path(__file__).parent
SOAK = 20 if os.environ.get("FENSHEN_SOAK") else 1


def outcome(program: str, *options: str, **env: str) -> tuple[int, str, str]:
    return run([*RUN, *options, "-c", f"import threading, time, fenshen\n{program}"], **env)


@pytest.mark.parametrize("seed", [0, 10_000, 20_000])
def test_no_legal_program_is_taken_for_a_deadlock(seed: int, capsys: pytest.CaptureFixture[str]) -> None:
    count = 500 * SOAK
    process = start([*RUN, str(HERE / "legal.py"), str(seed), str(count)])
    status, out, err = end(process, seconds=120 * SOAK)
    assert (status, out, err) == (0, f"{count}\n", "")
    with capsys.disabled():
        print(f"\n{count} legal programs from seed {seed}: no alarm")


@pytest.mark.parametrize("seed", [0, 10_000])
def test_every_planted_cycle_is_found(seed: int, capsys: pytest.CaptureFixture[str]) -> None:
    count = 300 * SOAK
    status, out, err = end(start([*RUN, str(HERE / "planted.py"), str(seed), str(count)]), seconds=120 * SOAK)
    assert (status, err) == (0, "")
    found, slowest = out.split()
    assert int(found) == count
    assert float(slowest) < 5  # a fifth of that where nobody else computes
    with capsys.disabled():
        print(f"\n{count} planted cycles from seed {seed}: all found, the last within {slowest} s")


TWO = """
a, b = threading.{kind}(), threading.{kind}()
ready = threading.Barrier(2)
def cross(first, second):
    with first:
        ready.wait()
        with second:
            print("through")
threads = [threading.Thread(target=cross, args=pair) for pair in ((a, b), (b, a))]
for thread in threads:
    thread.start()
"""


@pytest.mark.parametrize("kind", ["Lock", "RLock"])
def test_a_ring_is_an_error_in_one_thread_and_the_other_goes_on(kind: str) -> None:
    status, out, err = outcome(TWO.format(kind=kind))
    assert (status, out) == (0, "through\n")
    assert err.count("fenshen.DeadlockError: these threads wait for each other:") == 1
    assert "held by Thread-1" in err
    assert "held by Thread-2" in err
    assert "fenshen: " not in err


def test_a_ring_that_somebody_outside_could_break_is_reported_and_no_error() -> None:
    break_it = "\nwhile True:\n    time.sleep(2)\n    a.release()\n    break"
    status, out, err = outcome(TWO.format(kind="Lock") + break_it)
    assert (status, out) == (0, "through\nthrough\n") or "release unlocked lock" in err
    assert err.count("fenshen: these threads wait for each other:") == 1
    assert "<string>" in err
    assert "DeadlockError" not in err


def test_a_ring_of_reentrant_locks_is_an_error_whatever_others_do() -> None:
    _, out, err = outcome(TWO.format(kind="RLock") + "\ntime.sleep(1)")
    assert out == "through\n"
    assert err.count("DeadlockError") == 1


def test_with_report_nothing_is_raised() -> None:
    process = start([*RUN, "--deadlock=report", "-c", "import threading\n" + TWO.format(kind="Lock")])
    _, out, err = killed_when_it_says("held by Thread-2", process)
    assert out == ""
    assert err.count("fenshen: these threads wait for each other:") == 1
    assert "DeadlockError" not in err


def test_with_off_the_interpreters_own_locks_stay() -> None:
    program = (
        "import _thread; print(type(threading.Lock()) is _thread.LockType, type(threading.RLock()) is _thread.RLock)"
    )
    assert outcome(program, "--deadlock=off") == (0, "True True\n", "")
    assert outcome(program) == (0, "False False\n", "")


def test_a_lock_taken_twice_by_the_only_thread() -> None:
    program = """
lock = threading.Lock()
lock.acquire()
try:
    lock.acquire()
except RuntimeError as e:
    (only,) = e.cycle
    print(type(e) is fenshen.DeadlockError, only.name, only.owner, only.stack, only.waits_on.split()[0])
lock.release()
with lock:
    print("usable")
"""
    status, out, err = outcome(program)
    assert (status, err) == (0, "")
    assert out == "True MainThread MainThread ['<string>:6 in <module>'] <locked\nusable\n"


def test_the_same_set_a_second_time_is_a_report() -> None:
    program = """
lock = threading.Lock()
lock.acquire()
for i in range(2):
    try:
        lock.acquire()
    except fenshen.DeadlockError:
        print("once")
"""
    process = start([*RUN, "-u", "-c", f"import threading, fenshen\n{program}"])
    _, out, err = killed_when_it_says("waits for itself", process)
    assert out == "once\n"
    assert err.startswith("fenshen: this thread waits for itself:")


def test_a_program_with_a_signal_handler_is_only_told() -> None:
    program = """
import signal
lock = threading.Lock()
signal.signal(signal.SIGALRM, lambda *_: lock.release())
signal.alarm(2)
lock.acquire()
lock.acquire()
print("released")
"""
    status, out, err = outcome(program)
    assert (status, out) == (0, "released\n")
    assert err.startswith("fenshen: this thread waits for itself:")
    assert "DeadlockError" not in err


def test_an_event_in_the_main_thread_is_a_wait_for_ctrl_c() -> None:
    program = """
import threading, queue
q = queue.Queue()
threading.Thread(target=q.get, daemon=True).start()
print("waits", flush=True)
threading.Event().wait()
"""
    process = start([*RUN, "-c", program])
    assert process.stdout is not None
    assert process.stdout.readline() == "waits\n"
    time.sleep(1.5)
    os.killpg(process.pid, signal.SIGINT)
    status, _, err = end(process)
    assert status in (-signal.SIGINT, 130)
    assert "KeyboardInterrupt" in err
    assert "fenshen" not in err


def test_threads_that_wait_for_each_others_ends() -> None:
    program = """
def wait_for(name):
    ready.wait()
    try:
        threads[name].join()
    except fenshen.DeadlockError as e:
        print(sorted(w.name for w in e.cycle))
ready = threading.Barrier(2)
threads = {n: threading.Thread(target=wait_for, args=(o,), name=n) for n, o in (("one", "two"), ("two", "one"))}
for thread in threads.values():
    thread.start()
"""
    assert outcome(program) == (0, "['one', 'two']\n", "")


def test_the_interpreters_exit_waits_where_it_can_be_seen() -> None:
    program = """
lock = threading.Lock()
lock.acquire()
def wait():
    try:
        lock.acquire()
    except fenshen.DeadlockError as e:
        print([w.name for w in e.cycle])
threading.Thread(target=wait, name="worker").start()
"""
    status, out, err = outcome(program)
    assert (status, err) == (0, "")
    assert sorted(eval(out)) == ["MainThread", "worker"]


def test_a_lock_that_was_handed_over_has_no_owner() -> None:
    """Its taker waits for another to release it: no ring, whoever holds it."""
    program = """
lock = threading.Lock()
lock.acquire()
threading.Thread(target=lock.release).start()
lock.acquire()
timer = threading.Timer(1.0, lock.release)
timer.start()
lock.acquire()
print("handed over")
"""
    assert outcome(program) == (0, "handed over\n", "")


def test_a_lock_of_a_thread_that_a_fork_left_behind() -> None:
    program = """
import os, warnings
warnings.simplefilter("ignore")
lock = threading.Lock()
done = threading.Event()
holder = threading.Thread(target=lambda: (lock.acquire(), done.wait(20)))
holder.start()
while not lock.locked():
    time.sleep(0.01)
child = os.fork()
if child == 0:
    try:
        lock.acquire()
    except fenshen.DeadlockError as e:
        print(str(e).splitlines()[1].split(", ")[1], flush=True)
    with threading.Lock():
        os._exit(0)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
done.set()
"""
    status, out, err = outcome(program)
    assert (status, err) == (0, "")
    assert out == "held by a thread that this forked process does not have\n0\n"


def test_origins_tell_where_a_lock_was_acquired() -> None:
    program = """
lock = threading.Lock()
def take():
    lock.acquire()
take()
try:
    lock.acquire()
except fenshen.DeadlockError as e:
    print(e.cycle[0].acquired)
"""
    status, out, err = outcome(program, "--deadlock-origins")
    assert (status, err) == (0, "")
    assert out == "['<string>:6 in <module>', '<string>:5 in take']\n"
    assert outcome(program) == (0, "[]\n", "")


@pytest.mark.parametrize("ending", ["thread", "timed"])
def test_it_is_found_when_the_last_that_could_help_goes(ending: str) -> None:
    """A thread ends, or waits in turn after a wait with a timeout, after all others have come to wait."""
    last = "time.sleep(0.5)" if ending == "thread" else "lock.acquire(timeout=0.5)\n    lock.acquire()"
    program = f"""
lock = threading.Lock()
lock.acquire()
lock2 = threading.Lock()
lock2.acquire()
def last():
    {last}
threading.Thread(target=last, daemon=True).start()
began = time.monotonic()
try:
    lock2.acquire()
except fenshen.DeadlockError as e:
    print(time.monotonic() - began < 30)
"""
    status, out, err = outcome(program)
    assert (status, out) == (0, "True\n"), err


def test_errors_pickle() -> None:
    import pickle

    from fenshen.deadlock import DeadlockError, WaitingThread

    error = DeadlockError("text", (), [WaitingThread("a", "lock", "b", ["x:1 in f"])])
    again = pickle.loads(pickle.dumps(error))
    assert (again.args, again.cycle, again.tasks) == (error.args, error.cycle, [])


def test_a_library_is_not_watched_unless_it_asks() -> None:
    program = """
import threading, _thread, fenshen
fenshen.install(deadlock="raise")
lock = threading.Lock()
lock.acquire()
try:
    lock.acquire()
except fenshen.DeadlockError:
    print("raised")
fenshen.install(deadlock="off")
print(type(threading.Lock()) is _thread.LockType)
fenshen.uninstall()
print(threading.Thread.join.__module__)
"""
    assert run([sys.executable, "-c", program]) == (0, "raised\nTrue\nthreading\n", "")
