"""What goes wrong in a `map_reduce`: functions that raise, workers that die, and Ctrl-C."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from fenshen.flow import files, map_reduce, shards
from fenshen.futures import WorkerDied

pytestmark = pytest.mark.usefixtures("native")


def notes(exc: BaseException) -> str:
    return " ".join(getattr(exc, "__notes__", ()))


def wrong(n: int) -> list[tuple[int, float]]:
    return [(n, 1 / (n - 50))]


def test_an_error_names_its_item() -> None:
    with pytest.raises(ZeroDivisionError) as caught:
        map_reduce(range(100), wrong, sum, workers=2)
    assert "in wrong" in str(caught.value.__cause__)
    if sys.version_info >= (3, 11):
        assert "map() of the item 50" in notes(caught.value)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"map": lambda n: n}, "what map() gave of the item 0"),
        ({"map": lambda n: [(n, n)], "reduce": lambda key, values: 1 / key}, "reduce() of the key 0"),
        ({"map": lambda n: [(0, n)] * 2, "combine": lambda key, values: 1 / key}, "combine() of the key 0"),
        ({"map": lambda n: [([], n)]}, "what map() gave of the item 0"),
        ({"items": shards([lambda: 1 / 0])}, "reading"),
    ],
)
def test_every_function_may_raise(options: dict[str, Any], said: str) -> None:
    arguments = {"items": range(3), "map": lambda n: [(n, n)], "reduce": lambda key, values: values, **options}
    with pytest.raises((ZeroDivisionError, TypeError)) as caught:
        map_reduce(workers=1, **arguments)
    if sys.version_info >= (3, 11):
        assert said in notes(caught.value)


def test_a_file_that_is_no_text(tmp_path: Path) -> None:
    (tmp_path / "bad.txt").write_bytes(b"\xff\xfe")
    with pytest.raises(UnicodeDecodeError) as caught:
        map_reduce(files("*.txt", root=tmp_path), str.split, len, key=str, workers=1)
    if sys.version_info >= (3, 11):
        assert "bad.txt" in notes(caught.value)


def test_what_the_input_raises() -> None:
    def items() -> Any:
        yield 1
        raise OSError("the input is gone")

    with pytest.raises(OSError, match="the input is gone"):
        map_reduce(items(), lambda n: [(n, n)], sum, workers=1)


def test_a_function_that_cannot_be_pickled() -> None:
    lock = threading.Lock()
    with pytest.raises(TypeError, match="pickle"):
        map_reduce([1], lambda n: [(lock.locked(), n)], sum, workers=1)


class Twin:
    """Equal to a number of another class, by no rule that shows."""

    def __hash__(self) -> int:
        return hash("one")

    def __eq__(self, other: object) -> bool:
        return other == "one" or isinstance(other, Twin)

    def __reduce__(self) -> Any:
        return Twin, ()


def test_keys_that_are_equal_by_no_rule_are_refused_or_met() -> None:
    assert map_reduce(range(40), lambda n: [(Twin(), n)], sum, workers=2) == {Twin(): 780}


def test_a_lot_is_done_again_when_its_worker_dies(tmp_path: Path) -> None:
    def deadly(n: int) -> list[tuple[int, int]]:
        if n in (3, 700):
            with contextlib.suppress(FileExistsError):
                (tmp_path / str(n)).touch(exist_ok=False)
                os.kill(os.getpid(), signal.SIGKILL)
        return [(n % 5, 1)]

    def once(key: int, values: list[int]) -> int:
        with contextlib.suppress(FileExistsError):
            (tmp_path / "reduce").touch(exist_ok=False)
            os.kill(os.getpid(), signal.SIGKILL)
        return sum(values)

    assert map_reduce(range(1000), deadly, once, workers=2) == dict.fromkeys(range(5), 200)
    assert sorted(os.listdir(tmp_path)) == ["3", "700", "reduce"]


def test_a_lot_that_kills_every_worker() -> None:
    with pytest.raises(WorkerDied, match="SIGKILL"):
        map_reduce([1], lambda _: os.kill(os.getpid(), signal.SIGKILL), sum, workers=1)


PROGRAM = """
import sys, time
from fenshen.flow import map_reduce

def slow(n):
    print("begun", flush=True)
    time.sleep(60)

if __name__ == "__main__":
    try:
        map_reduce(range(100), slow, sum, workers=2, memory_limit=1)
    except KeyboardInterrupt:
        print("interrupted", flush=True)
"""


def of_session(session: int) -> list[str]:
    """The processes of a session that live."""
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdecimal():
            with contextlib.suppress(OSError):
                fields = Path(f"/proc/{entry}/stat").read_text().rpartition(")")[2].split()
                if int(fields[3]) == session and fields[0] not in "ZX":
                    found.append(Path(f"/proc/{entry}/cmdline").read_text().replace("\0", " "))
    return found


def test_after_an_interrupt_nothing_is_left(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(PROGRAM)
    shared = set(os.listdir("/dev/shm"))
    spill = tmp_path / "spill"
    spill.mkdir()
    program = subprocess.Popen(
        [sys.executable, str(tmp_path / "program.py")],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
        env={**os.environ, "TMPDIR": str(spill)},
    )
    try:
        assert program.stdout is not None
        assert program.stdout.readline().startswith("begun")
        os.killpg(program.pid, signal.SIGINT)
        rest, _ = program.communicate(timeout=60)
        assert "interrupted" in rest
        assert program.returncode == 0
        late = time.monotonic() + 30
        while of_session(program.pid) and time.monotonic() < late:
            time.sleep(0.05)
        assert of_session(program.pid) == []
        assert [name for name in os.listdir(spill) if not name.startswith("pymp-")] == []
        assert not [name for name in set(os.listdir("/dev/shm")) - shared if "map-reduce" in name]
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(program.pid, signal.SIGKILL)
        program.wait()
