"""A plugin of pytest, loaded by name: puts the peer in, keeps the tests that speak of it, and says how each ended.

`FOREIGN` in the environment is a JSON object: `suite`, `peer`, `results` (the file that lines are appended to), `only`
(the node ids to run, or null for all), `threads` (whether ours are the locks and queues as well) and `shared` (what
processes share, too).
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from foreign.putting_in import put_in

JOB = json.loads(os.environ["FOREIGN"])
WORKER = "PYTEST_XDIST_WORKER" in os.environ
if WORKER:
    put_in(JOB["peer"], threads=JOB["threads"], processes=JOB["shared"])


def _speaks_of_the_peer(item: pytest.Item) -> bool:
    if JOB["suite"] == "uvloop":  # its tests of asyncio's own loop
        return "AIO_" not in item.nodeid and "BaseAIO" not in item.nodeid and "TestAIO" not in item.nodeid
    if (
        JOB["suite"] == "anyio"
    ):  # the same tests on each back end: the one with a loop factory, and that with eager tasks
        backend = getattr(getattr(item, "callspec", None), "params", {}).get("anyio_backend")
        return backend is None or (not isinstance(backend, str) and "loop_factory" in backend[1])
    return True


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what would say the same of every peer."""
    only = None if JOB["only"] is None else set(JOB["only"])
    kept = [item for item in items if _speaks_of_the_peer(item) and (only is None or item.nodeid in only)]
    left = [item for item in items if item not in set(kept)]
    config.hook.pytest_deselected(items=left)
    items[:] = kept


def _say(**line: Any) -> None:
    with Path(JOB["results"]).open("a") as f:
        f.write(json.dumps(line) + "\n")


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """A line for each part of each test: its set-up, its call, its tear-down. With xdist, in the first process only."""
    if WORKER:
        return
    outcome = "passed" if hasattr(report, "wasxfail") and report.outcome == "skipped" else report.outcome
    text = report.longreprtext if outcome == "failed" else ""
    _say(id=report.nodeid, outcome=outcome, text=text, seconds=getattr(report, "duration", 0.0))


def pytest_collectreport(report: pytest.CollectReport) -> None:
    """A file that cannot be loaded is a failure; each worker reports it."""
    if report.outcome == "failed":
        _say(id=f"{report.nodeid}::(loading)", outcome="failed", text=report.longreprtext, seconds=0.0)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Without this line the run was cut short."""
    if not WORKER:
        _say(done=sys.version.split()[0])
