"""The standard library's `multiprocessing` and ours, side by side, and children that never outlive their test."""

from __future__ import annotations

import multiprocessing
import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import pytest
from commands import needs_native
from fenshen import multiprocessing as ours

SIDES = {"stdlib": multiprocessing, "fenshen": ours}
METHODS = ("fork", "spawn", "forkserver")
PATIENCE = 120.0

each_side = pytest.mark.parametrize("processes", [pytest.param(side, id=name) for name, side in SIDES.items()])
each_method = pytest.mark.parametrize("method", METHODS)
each_context = pytest.mark.parametrize(
    "ctx",
    [
        # The standard library shows what is right by one start method: the others of its own are not ours to test.
        pytest.param(multiprocessing.get_context("fork"), id="stdlib-fork"),
        *(pytest.param(ours.get_context(m), id=f"fenshen-{m}") for m in METHODS),
    ],
)
our_contexts = pytest.mark.parametrize("ctx", [pytest.param(ours.get_context(m), id=m) for m in METHODS])
needs_native = needs_native


def until(condition: Callable[[], object]) -> None:
    """Wait until that holds."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "it took too long"
        time.sleep(0.002)


@contextmanager
def started(ctx: Any, target: Callable[..., object], *argses: tuple[Any, ...]) -> Iterator[list[Any]]:
    """A child for each tuple of arguments; none lives when the block is left."""
    children = [ctx.Process(target=target, args=args, daemon=True) for args in argses]
    try:
        for child in children:
            child.start()
        yield children
    finally:
        for child in children:
            if child.pid is not None:
                child.kill()
                child.join()
                child.close()


def run(ctx: Any, target: Callable[..., object], *argses: tuple[Any, ...]) -> None:
    """Run a child for each tuple of arguments to its end, which must be a good one."""
    with started(ctx, target, *argses) as children:
        for child in children:
            child.join(PATIENCE)
        assert [child.exitcode for child in children] == [0] * len(children)


def is_asleep(pid: int) -> bool:
    """Whether the process' main thread sleeps on a futex."""
    try:
        with open(f"/proc/{pid}/syscall") as f:
            number = f.read().split()[0]
    except OSError:
        return False
    return number == {"x86_64": "202", "aarch64": "98"}.get(os.uname().machine)


def plain(text: str) -> str:
    """Without addresses, and without what tells one side from the other."""
    return re.sub(r"0x[0-9a-f]+", "0x...", text).replace("fenshen.multiprocessing", "multiprocessing")


def outcome(action: Callable[[], object]) -> str:
    """What comes of it: a value, or an error's type and words."""
    try:
        return plain(repr(action()))
    except Exception as e:
        return f"{type(e).__name__}: {plain(str(e))}"


def assert_same(*actions: Callable[[ModuleType], object]) -> None:
    """Each action has the same outcome on both sides."""
    for action in actions:
        theirs, mine = outcome(lambda: action(multiprocessing)), outcome(lambda: action(ours))  # noqa: B023
        assert mine == theirs, f"fenshen's: {mine}; the standard library's: {theirs}"
