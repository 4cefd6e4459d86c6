"""A suite under a peer: one run of pytest, its results, and a second chance for what failed."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..conformance.runner import Outcome, Run
from . import fetching
from .suites import Suite

SECONDS = 60
"""How long one test may take."""
WHOLE = 1500
"""How long a suite may take."""
WORSE = ("passed", "skipped", "failed")


def name_of(suite: str, node: str) -> str:
    """A test's name in the list of what is expected: `uvloop.test_tcp.Test_UV_TCP.test_abort`, without spaces."""
    path, bracket, rest = node.partition("[")
    path = re.sub(r"\.py(?=::|$)", "", path.removeprefix("tests/")).replace("::", ".").replace("/", ".")
    return f"{suite}.{path}{bracket}{rest}".replace(" ", "_")


def command(suite: Suite, python: Path, processes: int, arguments: Sequence[str]) -> list[str]:
    """How pytest is started."""
    left_out = [f"--ignore-glob=*/{name}" for name in suite.left_out]
    limits = [f"--timeout={SECONDS}", "--timeout-method=thread", "-n", str(processes), "--dist", "load"]
    plain = ["-p", "foreign.plugin", "-p", "no:cacheprovider", "-q", "--no-header", "--max-worker-restart=200"]
    return [str(python), "-m", "pytest", *plain, *limits, *left_out, *suite.options, suite.tests, *arguments]


def run_once(
    suite: Suite, peer: str, arguments: Sequence[str] = (), only: dict[str, str] | None = None, log: Path | None = None
) -> tuple[Run, dict[str, str]]:
    """One run of pytest: how each test ended, and the node id of each name. `only`: name to node id."""
    run, nodes, began = Run(suite.name, peer), {}, time.monotonic()
    python = fetching.environment(suite)
    with tempfile.TemporaryDirectory(prefix="fenshen-foreign-") as folder:
        tests, results = fetching.unpack(suite, Path(folder)), Path(folder, "results")
        results.touch()
        job = {
            "suite": suite.name,
            "peer": peer,
            "results": str(results),
            "only": list(only.values()) if only else None,
            "threads": suite.threads,
            "shared": suite.shared,
        }
        printed = _pytest(command(suite, python, suite.processes if only is None else 1, arguments), tests, job)
        lines = [json.loads(line) for line in results.read_text().splitlines()]
    if log:
        with log.open("a") as f:
            f.write(f"=== {suite.name} on {peer}\n{printed}\n")
    for line in lines:
        if "done" not in line:
            name = name_of(suite.name, line["id"])
            nodes[name] = line["id"]
            _note(run, name, line)
    if not run.outcomes or not any("done" in line for line in lines):
        name = f"{suite.name} (outside any test)"
        run.outcomes[name] = Outcome(name, "failed", f"{printed[-4000:]}\nthe run was cut short, or found no test")
    run.seconds = time.monotonic() - began
    return run, nodes


def _note(run: Run, name: str, line: dict[str, Any]) -> None:
    """A test's set-up, call and tear-down are one outcome: the worst."""
    outcome = run.outcomes.setdefault(name, Outcome(name, "passed"))
    outcome.seconds += line["seconds"]
    if WORSE.index(line["outcome"]) > WORSE.index(outcome.outcome):
        outcome.outcome, outcome.text = line["outcome"], line["text"]


def _pytest(command: Sequence[str], folder: Path, job: dict[str, Any]) -> str:
    """What pytest printed; it and all that it started are gone."""
    env = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "FENSHEN", "PYTEST"))}
    env |= {"FOREIGN": json.dumps(job), "PYTHONPATH": f"{fetching.ROOT / 'python'}:{fetching.ROOT / 'tests'}"}
    with tempfile.TemporaryFile() as log:
        child = subprocess.Popen(
            command, cwd=folder, env=env, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
        )
        try:
            child.wait(WHOLE)
        except subprocess.TimeoutExpired:
            pass
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)
            child.wait()
        log.seek(0)
        return log.read().decode(errors="replace")


def run_suite(
    suite: Suite, peer: str, listed: Sequence[str] = (), arguments: Sequence[str] = (), log: Path | None = None
) -> Run:
    """A run; then each failure that is not listed has a second chance, and what fails again is tried on asyncio's loop:
    if that fails too, the machine or the suite itself is to blame.
    """
    run, nodes = run_once(suite, peer, arguments, log=log)
    failed = {each.id: nodes[each.id] for each in run.ended("failed") if each.id not in listed and each.id in nodes}
    if not failed:
        return run
    again, _ = run_once(suite, peer, arguments, failed, log=log)
    for name, outcome in again.outcomes.items():
        if name in failed and outcome.outcome == "passed":
            outcome.retried = True
            run.outcomes[name] = outcome
    still = {name: node for name, node in failed.items() if run.outcomes[name].outcome == "failed"}
    if still and peer != "asyncio":
        for each in run_once(suite, "asyncio", arguments, still, log=log)[0].ended("failed"):
            if each.id in run.outcomes:
                run.outcomes[each.id].environment = True
    run.seconds += again.seconds
    return run
