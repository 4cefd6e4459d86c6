"""`@pytest.mark.needs("aiohttp")` says which libraries a test, or with `pytestmark` a module, runs on."""

from __future__ import annotations

import faulthandler
import os
import sys
from collections.abc import Collection, Generator, Iterator
from pathlib import Path

import fenshen
import pytest

from . import process_ways, thread_ways, ways
from .needs import libraries
from .process_ways import Scripts
from .servers import logs, mariadb, postgres, redis
from .thread_ways import Comparison
from .ways import Exchange

# Tests for those that run them in a process of their own.
collect_ignore = ["suites"]

__all__ = ["mariadb", "postgres", "redis"]

# Every wait in a test has a shorter limit of its own; this is for the one that has been forgotten.
SECONDS_A_TEST = 300
# What --smoke tries, and the words in the ids of the tests that it leaves out: other ways, and other roads to a server.
SMOKE = "fenshen run"
LEFT_OUT = {"asyncio", "python", "loop", "hook", "install", "loop_factory", "loop_factory, in Python", "FENSHEN=1"}
LEFT_OUT |= {"url", "unix"}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--smoke", action="store_true", help="each program once: by `fenshen run`, over TLS where it has a server"
    )
    parser.addoption("--skips-to", metavar="FILE", help="write what was skipped, and why, a line a module")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "needs(*modules): the libraries without which the test cannot run")


def pytest_runtest_setup(item: pytest.Item) -> None:
    if fenshen.engine != "native":
        pytest.skip("the native engine is not built for this Python")
    for mark in item.iter_markers("needs"):
        libraries(*mark.args)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--smoke"):
        left_out = [item for item in items if isinstance(item, pytest.Function) and is_no_smoke(item)]
        items[:] = [item for item in items if item not in left_out]
        config.hook.pytest_deselected(items=left_out)


def is_no_smoke(item: pytest.Function) -> bool:
    """Whether a test is one of several of the same program, and not the one that --smoke is content with."""
    return hasattr(item, "callspec") and not LEFT_OUT.isdisjoint(item.callspec.id.split("-"))


def ways_of(request: pytest.FixtureRequest, table: Collection[str]) -> list[str]:
    """The ways in which to run a program; the first is the one that the others are compared with."""
    first, *others = table
    return [first, SMOKE] if request.config.getoption("--smoke") else [first, *others]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    faulthandler.dump_traceback_later(SECONDS_A_TEST, exit=True, file=sys.__stderr__)
    try:
        return (yield)
    finally:
        faulthandler.cancel_dump_traceback_later()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.failed:
        report.sections += logs(item)
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    lines = set()
    for report in terminalreporter.stats.get("skipped", ()):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        lines.add(f"{os.path.basename(report.nodeid.partition('::')[0])}: {reason.removeprefix('Skipped: ')}")
    for line in sorted(lines):
        terminalreporter.write_line(f"skipped: {line}")
    if target := config.getoption("--skips-to"):
        Path(target).write_text("".join(f"{line}\n" for line in sorted(lines)))


@pytest.fixture
def exchange(tmp_path: Path, request: pytest.FixtureRequest) -> Exchange:
    """Runs a program of the folder `programs` in each way; see `Exchange`."""
    return Exchange(tmp_path, ways_of(request, ways.WAYS))


@pytest.fixture
def compare(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Comparison:
    """Runs a program of the folder `threads` in each way; see `Comparison`."""
    return Comparison(tmp_path_factory.mktemp("c"), ways_of(request, thread_ways.WAYS))


@pytest.fixture
def scripts(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Scripts:
    """Runs a script with processes in each way; see `Scripts`."""
    return Scripts(tmp_path_factory.mktemp("s"), ways_of(request, process_ways.WAYS))
