"""CPython's own tests with our types put in, a test a module; see docs/conformance.md."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from . import expected, runner, suites

MODULES = [
    # An interpreter that lacks the suites of processes borrows them, but not here: they take minutes.
    module
    for module in suites.modules()
    if module not in suites.PROCESSES or importlib.util.find_spec("test.test_concurrent_futures")
]


@pytest.fixture(scope="session")
def run_of(request: pytest.FixtureRequest) -> Iterator[Callable[[str], runner.Run]]:
    """The run of a module; all that are selected are started at once, two at a time."""
    wanted = [
        str(item.callspec.params["module"])
        for item in request.session.items
        if isinstance(item, pytest.Function) and item.originalname == "test_conformance"
    ]
    wanted.sort(key=lambda module: module not in suites.PROCESSES)  # the longest first, or one core waits at the end
    listed = tuple(expected.read())
    with ThreadPoolExecutor(2) as pool:
        jobs: dict[str, Future[runner.Run]] = {
            module: pool.submit(runner.run_module, module, "fenshen", None, listed) for module in wanted
        }
        yield lambda module: jobs[module].result()
        for job in jobs.values():
            job.cancel()


@pytest.mark.skipif(not MODULES, reason="this interpreter was installed without CPython's tests")
@pytest.mark.parametrize("module", MODULES)
def test_conformance(module: str, run_of: Callable[[str], runner.Run]) -> None:
    run = run_of(module)
    for outcome in run.outcomes.values():
        if outcome.retried:
            print(f"retried: {outcome.id}")
    wrong = expected.differences(run, expected.read())
    assert not wrong, "\n".join(wrong)


def test_every_listed_module_is_run() -> None:
    """A line about a module that is never run would never be checked."""
    named = {name.split(".")[0] for name in expected.read(version=(3, 13))}
    assert named <= {*suites.REQUIRED, *suites.BEYOND, *suites.THREADS, *suites.PROCESSES}
