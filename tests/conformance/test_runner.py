"""The runner itself: what it makes of tests that hang, die, fail once, or fail on this machine in any case."""

from __future__ import annotations

from pathlib import Path

import pytest

from . import expected, runner, suites

TESTS = """
import asyncio, atexit, os, pathlib, signal, sys, time, unittest

class Tests(unittest.TestCase):
    def test_a_passes(self):
        pass
    def test_b_hangs(self):
        time.sleep(60)
    def test_c_dies(self):
        os.kill(os.getpid(), signal.SIGKILL)
    def test_d_fails_in_a_subtest(self):
        for i in range(3):
            with self.subTest(i=i):
                self.assertNotEqual(i, 1)
    def test_e_is_skipped(self):
        self.skipTest("why not")
    def test_f_fails_the_first_time(self):
        mark = pathlib.Path(FOLDER, "mark")
        first = not mark.exists()
        mark.touch()
        self.assertFalse(first)
    def test_g_fails_for_uvloop_only(self):
        self.assertNotIn("uvloop", sys.modules)
    @unittest.expectedFailure
    def test_h_fails_as_expected(self):
        self.fail()
    def test_i_leaves_a_loop_running(self):
        asyncio._set_running_loop(asyncio.new_event_loop())
        self.fail()
    def test_i_says_something(self):
        print("fenshen: these threads wait for each other", file=sys.stderr)
    def test_j_passes(self):
        self.assertIsNone(asyncio._get_running_loop())

class TestsEnd(unittest.TestCase):
    def test_leaves_something_that_kills_at_exit(self):
        atexit.register(os._exit, 3)

class Broken(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        raise OSError("no set-up")
    def test_never(self):
        pass
"""

END = "x (outside any test, after x.A.b)"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> runner.Run:
    pytest.importorskip("uvloop")
    if not suites.modules():
        pytest.skip("this interpreter was installed without CPython's tests")
    folder = tmp_path_factory.mktemp("modules")
    (folder / "test_of_the_runner.py").write_text(TESTS.replace("FOLDER", repr(str(folder))))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runner, "SILENCE", 1.5)
        return runner.run_module("test_of_the_runner", "uvloop", folder=str(folder))


def outcome(run: runner.Run, name: str) -> runner.Outcome:
    return run.outcomes[f"test_of_the_runner.Tests.{name}"]


def test_outcomes(run: runner.Run) -> None:
    ended = {name.rpartition(".")[2]: each.outcome for name, each in run.outcomes.items() if "Tests.test" in name}
    assert ended == {
        "test_a_passes": "passed",
        "test_b_hangs": "failed",
        "test_c_dies": "failed",
        "test_d_fails_in_a_subtest": "failed",
        "test_e_is_skipped": "skipped",
        "test_f_fails_the_first_time": "passed",
        "test_g_fails_for_uvloop_only": "failed",
        "test_h_fails_as_expected": "passed",
        "test_i_leaves_a_loop_running": "failed",
        "test_i_says_something": "passed",
        "test_j_passes": "passed",
    }


def test_a_hang_shows_where(run: runner.Run) -> None:
    hung = outcome(run, "test_b_hangs")
    assert "hung" in hung.last_line
    assert "in test_b_hangs" in hung.text


def test_a_death_shows_its_status(run: runner.Run) -> None:
    assert "status -9" in outcome(run, "test_c_dies").last_line


def test_the_second_chance_is_told(run: runner.Run) -> None:
    assert outcome(run, "test_f_fails_the_first_time").retried
    assert not outcome(run, "test_a_passes").retried


def test_what_asyncio_fails_too_is_the_machine(run: runner.Run) -> None:
    assert outcome(run, "test_d_fails_in_a_subtest").environment
    assert not outcome(run, "test_g_fails_for_uvloop_only").environment


def test_a_class_that_cannot_be_set_up_is_a_failure(run: runner.Run) -> None:
    assert [each.last_line for each in run.ended("failed") if "setUpClass" in each.id] == ["OSError: no set-up"]


def test_what_we_print_is_told(run: runner.Run) -> None:
    assert run.said == ["fenshen: these threads wait for each other"]
    assert expected.differences(run, {})[0] == "test_of_the_runner printed: fenshen: these threads wait for each other"


def test_a_death_at_exit_is_a_failure(run: runner.Run) -> None:
    [died] = [each for each in run.ended("failed") if "status 3" in each.last_line]
    assert "outside any test" in died.id


@pytest.mark.skipif(not suites.modules(), reason="this interpreter was installed without CPython's tests")
def test_a_limit_ends_a_module_that_hangs_again_and_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hang = "def test_{}(self): time.sleep(60)"
    body = "\n    ".join(hang.format(letter) for letter in "abcdefgh")
    (tmp_path / "test_of_hangs.py").write_text(f"import time, unittest\nclass Tests(unittest.TestCase):\n    {body}\n")
    monkeypatch.setattr(runner, "SILENCE", 1.0)
    monkeypatch.setattr(runner, "LIMIT", 0.5)
    ended = runner.run_module("test_of_hangs", "asyncio", folder=str(tmp_path))
    [hung, rest] = ended.ended("failed")
    assert "hung" in hung.last_line
    assert rest.id == "test_of_hangs (the rest, after test_of_hangs.Tests.test_a)"


def test_an_end_that_a_failed_test_spoilt_has_its_second_chance() -> None:
    first = runner.Run("x", "stdlib", {name: runner.Outcome(name, "failed") for name in ("x.A.b", END)})
    runner._pardon_ends(first, runner.Run("x", "stdlib", {"x.A.b": runner.Outcome("x.A.b", "failed")}))
    assert first.outcomes[END].outcome == "failed"
    runner._pardon_ends(first, runner.Run("x", "stdlib", {"x.A.b": runner.Outcome("x.A.b", "passed")}))
    assert first.outcomes[END].retried
