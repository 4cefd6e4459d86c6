"""`from fenshen import threading, queue, futures`: the modules, whichever engine serves."""

from __future__ import annotations

from commands import PYTHON, needs_native, run

PROGRAM = """
import fenshen
for module in (fenshen.threading, fenshen.queue, fenshen.futures):
    print(module.__name__)
standard = [__import__(name, fromlist=["_"]) for name in ("threading", "queue", "concurrent.futures")]
print(fenshen.threading.Event is standard[0].Event)
print(fenshen.queue.Queue is standard[1].Queue)
print(fenshen.futures.ThreadPoolExecutor is standard[2].ThreadPoolExecutor)
print(fenshen.futures.Future is standard[2].Future, fenshen.futures.wait is standard[2].wait)
with fenshen.futures.ThreadPoolExecutor() as pool:
    print(list(pool.map(abs, [-1])))
"""
NAMES = "fenshen.threading\nfenshen.queue\nfenshen.futures\n"


def test_the_standard_librarys_own_types() -> None:
    status, out, err = run([*PYTHON, "-c", PROGRAM], FENSHEN_ENGINE="stdlib")
    assert (status, err) == (0, "")
    assert out == NAMES + "True\nTrue\nTrue\nTrue True\n[1]\n"


@needs_native
def test_the_native_ones() -> None:
    status, out, err = run([*PYTHON, "-c", f"import fenshen; assert fenshen.engine == 'native'\n{PROGRAM}"])
    assert (status, err) == (0, "")
    assert out == NAMES + "False\nFalse\nFalse\nFalse False\n[1]\n"
