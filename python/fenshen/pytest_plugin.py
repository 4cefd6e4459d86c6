"""A plugin for pytest: a test that leaves tasks, threads, processes or shared memory behind fails, and is told which.

It looks only where it is asked to: `--fenshen-leaks` or `fenshen_leaks = true` in the configuration for every test,
`@pytest.mark.fenshen_leaks` for one. `@pytest.mark.fenshen_leaks(False)` leaves a test out; `tasks=`, `threads=`,
`processes=` and `shared_memory=` choose what is looked for (default: all), and `wait=` is how many seconds what is
about to end may take (default: `fenshen_leaks_wait` of the configuration, which is 1).
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from fenshen._leaks import Found, Origins

_LEAKED = pytest.StashKey[bool]()


class Asked(NamedTuple):
    """What is looked for, and for how many seconds it may go on ending."""

    tasks: bool = True
    threads: bool = True
    processes: bool = True
    shared_memory: bool = True
    wait: float = 1.0


def pytest_addoption(parser: pytest.Parser, pluginmanager: pytest.PytestPluginManager) -> None:
    # pytest rewrites the assertions of a plugin's whole package. Ours has none, and is large.
    getattr(getattr(pluginmanager, "rewrite_hook", None), "_must_rewrite", set()).discard("fenshen")
    group = parser.getgroup("fenshen")
    text = "fail each test that leaves tasks, threads, processes or shared memory behind"
    group.addoption("--fenshen-leaks", action="store_true", default=None, help=text)
    parser.addini("fenshen_leaks", text, type="bool", default=False)
    parser.addini("fenshen_leaks_wait", "seconds that what is about to end may take (default: 1)", default="1")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers",
        "fenshen_leaks(look=True, *, tasks=True, threads=True, processes=True, shared_memory=True, wait=None): "
        "fail the test if it leaves any of these behind that has not ended after so many seconds",
    )


def asked(item: pytest.Item) -> Asked | None:
    """What is to be looked for in a test; None if nothing. Raises UsageError for a mark that says something else."""
    mark, config = item.get_closest_marker("fenshen_leaks"), item.config
    usual = Asked(wait=float(config.getini("fenshen_leaks_wait")))
    if mark is None:
        return usual if config.getoption("--fenshen-leaks") or config.getini("fenshen_leaks") else None
    unknown = mark.kwargs.keys() - set(Asked._fields)
    if unknown or len(mark.args) > 1:
        raise pytest.UsageError(f"{item.nodeid}: fenshen_leaks knows one argument and {', '.join(Asked._fields)}")
    return usual._replace(**mark.kwargs) if all(mark.args) else None


@pytest.fixture(autouse=True)
def _fenshen_leaks(request: pytest.FixtureRequest) -> Iterator[None]:
    # Made before all other fixtures of a function and torn down after them, and within those that outlive it.
    wanted = asked(request.node)
    if wanted is None:
        yield
        return
    from fenshen import _leaks

    origins = _leaks.Origins()
    before = _now(wanted, origins)
    with origins.watching():
        yield
    left = _left(wanted, origins, before)
    if left:
        request.node.stash[_LEAKED] = True
        pytest.fail("\n  ".join([f"{request.node.name} leaves behind", *left]), pytrace=False)


def _now(wanted: Asked, origins: Origins) -> Found:
    """All that there is of what is asked for."""
    from fenshen import _leaks

    found: Found = {}
    if wanted.tasks:
        found |= _leaks.tasks()
    if wanted.threads:
        found |= _leaks.threads(origins)
    if wanted.processes:
        found |= _leaks.processes(origins)
    if wanted.shared_memory:
        found |= _leaks.blocks(origins)
    return found


def _left(wanted: Asked, origins: Origins, before: Found) -> list[str]:
    """What was not there before, is there now, and does not end by itself."""
    import gc

    until = time.monotonic() + wanted.wait
    collected = False
    while True:
        left = {key: text for key, text in _now(wanted, origins).items() if key not in before}
        if not left or time.monotonic() >= until:
            break
        if not collected:  # what nobody refers to any more may end with that
            left.clear()  # nor do we
            gc.collect()
            collected = True
            continue
        time.sleep(0.01)
    return [*left.values(), *(origins.swept.values() if wanted.tasks else ())]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: Any) -> Iterator[None]:
    report: Any = yield
    if call.when == "teardown" and item.stash.get(_LEAKED, False):
        report.fenshen_leaked = True
    return report


def pytest_report_teststatus(report: Any) -> tuple[str, str, str] | None:
    """It is the test that has failed, though what tells of it is its teardown."""
    if report.failed and getattr(report, "fenshen_leaked", False):
        return "failed", "L", "LEAKED"
    return None
