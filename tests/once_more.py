"""`--once-more N`: when at most N tests failed, they run again, alone, and the run fails only with those that fail then
too. What failed stays printed in full, and the last lines name it.

It is for machines where everything runs at once and nobody looks on; a test that needs it has a bug, or has found one.
"""

from __future__ import annotations

import subprocess
import sys

import pytest


def add_option(parser: pytest.Parser) -> None:
    parser.addoption("--once-more", metavar="N", type=int, default=0, help="run up to N failed tests again, alone")


class OnceMore:
    """The tests of one run that failed, in the order in which they did."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._failed: list[str] = []
        self._passed_now = False

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed and report.nodeid not in self._failed:
            self._failed.append(report.nodeid)

    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        if exitstatus != pytest.ExitCode.TESTS_FAILED or not 0 < len(self._failed) <= self._most:
            return
        command = [sys.executable, "-m", "pytest", *self._failed]
        again = subprocess.run(command, cwd=session.config.rootpath, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        sys.stdout.buffer.write(b"\n" + again.stdout)
        sys.stdout.flush()
        if again.returncode == 0:
            self._passed_now = True
            session.exitstatus = pytest.ExitCode.OK

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self._passed_now:
            for name in self._failed:
                terminalreporter.write_line(f"failed, then passed alone: {name}")
