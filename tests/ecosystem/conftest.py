"""`@pytest.mark.needs("aiohttp")` says which libraries a test, or with `pytestmark` a module, runs on."""

from __future__ import annotations

import faulthandler
import os
import sys
from collections.abc import Generator, Iterator
from pathlib import Path

import fenshen
import pytest

from .needs import libraries
from .servers import logs, mariadb, postgres, redis
from .ways import Exchange

# Tests for those that run them in a process of their own.
collect_ignore = ["suites"]

__all__ = ["mariadb", "postgres", "redis"]

# Every wait in a test has a shorter limit of its own; this is for the one that has been forgotten.
SECONDS_A_TEST = 300


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--skips-to", metavar="FILE", help="write what was skipped, and why, a line a module")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "needs(*modules): the libraries without which the test cannot run")


def pytest_runtest_setup(item: pytest.Item) -> None:
    if fenshen.engine != "native":
        pytest.skip("the native engine is not built for this Python")
    for mark in item.iter_markers("needs"):
        libraries(*mark.args)


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
def exchange(tmp_path: Path) -> Exchange:
    """Runs a program of the folder `programs` in each way; see `Exchange`."""
    return Exchange(tmp_path)
