"""pytest-xdist spreads tests over processes that it starts by itself, and puts others where one dies."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from commands import PYTHON, run

from .ways import RUN

pytestmark = pytest.mark.needs("xdist")

SUITE = Path(__file__).parent / "suites" / "pytest_xdist"


def outcomes(text: str) -> dict[str, str]:
    """How each test ended, of what `-rA` has printed."""
    found = re.findall(r"^(PASSED|FAILED|ERROR) test_suite.py::(\S+)", text, re.MULTILINE)
    return {name: outcome for outcome, name in found}


@pytest.mark.parametrize("kills", [False, True], ids=["", "a worker dies"])
def test_the_same_results(tmp_path: Path, kills: bool) -> None:
    shutil.copy(SUITE / "test_suite.py", tmp_path)
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    words = ["-m", "pytest", "-n", "2", "-rA", "-p", "no:cacheprovider", "-p", "no:asyncio", "test_suite.py"]
    results = []
    for name, command in (("python", PYTHON), ("ours", RUN)):
        workers = tmp_path / name
        workers.mkdir()
        found = run([*command, *words], cwd=tmp_path, WORKERS=str(workers), **({"KILLS": "1"} if kills else {}))
        assert found.status == 1, found.out + found.err
        assert found.err == ""
        assert {"gw0", "gw1"} <= {path.name for path in workers.iterdir()}
        results.append(outcomes(found.out))
    assert results[0] == results[1]
    assert len(results[0]) == 31
    failed = {test for test, outcome in results[0].items() if outcome == "FAILED"}
    assert failed == {"test_that_fails"} | ({"test_that_kills_its_process"} if kills else set())
