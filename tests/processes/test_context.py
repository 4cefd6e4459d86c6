"""The package and its contexts: the standard library's names, start methods and state."""

from __future__ import annotations

import importlib
import multiprocessing
import multiprocessing.context
import pkgutil
import sys

import pytest
from commands import start
from fenshen import multiprocessing as ours

from processes.sides import METHODS, PATIENCE, needs_native

pytestmark = needs_native


def test_it_has_every_name():
    assert set(ours.__all__) == {*multiprocessing.__all__, "OwnerDied"}
    assert all(getattr(ours, name) is not None for name in ours.__all__ if name != "reducer")
    assert set(dir(multiprocessing)) - {"sys"} <= set(dir(ours))
    assert issubclass(ours.OwnerDied, RuntimeError)
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = ours.no_such_name


def test_it_has_every_module():
    for module in pkgutil.iter_modules(multiprocessing.__path__):
        if "win32" in module.name:
            continue
        mine = importlib.import_module(f"fenshen.multiprocessing.{module.name}")
        theirs = importlib.import_module(f"multiprocessing.{module.name}")
        public = getattr(theirs, "__all__", None) or [name for name in vars(theirs) if not name.startswith("_")]
        missing = [name for name in public if not hasattr(mine, name)]
        assert missing == [], module.name
        assert theirs.__spec__.name == f"multiprocessing.{module.name}"
    from multiprocessing.dummy import connection as theirs

    from fenshen.multiprocessing.dummy import connection

    assert connection is theirs


@pytest.mark.parametrize("method", METHODS)
def test_contexts_are_the_standard_librarys_too(method):
    ctx, theirs = ours.get_context(method), multiprocessing.get_context(method)
    assert isinstance(ctx, type(theirs))
    assert (ctx.get_start_method(), ctx.Process) == (method, theirs.Process)
    assert ctx.get_context() is ctx
    assert ctx.get_context("spawn") is ours.get_context("spawn")
    with pytest.raises(ValueError, match="cannot set start method of concrete context"):
        ctx.set_start_method("fork")
    with pytest.raises(ValueError, match="cannot find context for 'none'"):
        ctx.get_context("none")
    assert ours.get_all_start_methods() == multiprocessing.get_all_start_methods()


STATE = """
import multiprocessing
from fenshen import multiprocessing as ours
default = {14: "forkserver"}.get(__import__("sys").version_info[1], "fork")
assert ours.get_start_method(allow_none=True) is None
assert ours.context._default_context._actual_context is None
ours.set_start_method("spawn")
assert multiprocessing.get_start_method() == ours.get_start_method() == "spawn"
assert ours.get_context() is ours.get_context("spawn")
try:
    multiprocessing.set_start_method("fork")
except RuntimeError as e:
    print(e)
multiprocessing.set_start_method("fork", force=True)
assert ours.get_start_method() == "fork" and type(ours.get_context()).__name__ == "ForkContext"
ours.set_start_method(None, force=True)
assert multiprocessing.get_start_method() == default
class Mine(multiprocessing.context.BaseContext):
    _name = "mine"
multiprocessing.context._concrete_contexts["mine"] = mine = Mine()
assert ours.get_context("mine") is mine
"""

IMPORT = """
import sys
import multiprocessing, fenshen
before = set(sys.modules)
from fenshen import multiprocessing as ours
print(sorted(m for m in set(sys.modules) - before if not m.startswith("fenshen.multiprocessing")))
ours.Process
print(any(m in sys.modules for m in ("ctypes", "tempfile", "fenshen._processes", "multiprocessing.synchronize")))
"""


@pytest.mark.parametrize(
    ("code", "expected"),
    [(STATE, "context has already been set\n"), (IMPORT, "['fenshen._engine']\nFalse\n")],
    ids=["state", "import"],
)
def test_in_a_program_of_its_own(code, expected):
    with start([sys.executable, "-c", code]) as program:
        out, err = program.communicate(timeout=PATIENCE)
    assert (out, err) == (expected, "")


def test_without_the_engine_it_is_the_standard_librarys():
    code = """
from fenshen import multiprocessing as ours
import multiprocessing, fenshen
assert fenshen.engine == "stdlib"
print(type(ours.Lock()).__module__, type(ours.Value("i")).__module__, ours.context is multiprocessing.context)
"""
    with start([sys.executable, "-c", code], FENSHEN_ENGINE="stdlib") as program:
        out, err = program.communicate(timeout=PATIENCE)
    assert (out, err) == ("multiprocessing.synchronize multiprocessing.sharedctypes True\n", "")
