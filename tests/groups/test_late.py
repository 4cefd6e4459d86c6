"""A group that was cancelled says which child keeps it waiting, and where that stands."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Any

import pytest
from commands import RUN, needs_native, run
from fenshen import TaskGroup
from fenshen._groups import late

from groups import parts

pytestmark = needs_native


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Five seconds are long for a test."""
    monkeypatch.setattr(late, "PATIENCE", 0.02)
    monkeypatch.delenv("FENSHEN_QUIET", raising=False)
    monkeypatch.setattr("fenshen._engine.quiet", lambda: False)


def deaf(gate: threading.Event, begun: threading.Semaphore) -> None:
    """What no cancellation wakes: a wait of the standard library's would do."""
    begun.release()
    while not gate.is_set():
        pass


async def deaf_too(gate: threading.Event, begun: threading.Semaphore) -> None:
    begun.release()
    while not gate.is_set():
        try:
            await asyncio.sleep(0.001)
        except asyncio.CancelledError:
            continue


def opened_when_told(capsys: Any, gate: threading.Event, names: list[str]) -> str:
    text = ""

    def told() -> bool:
        nonlocal text
        text += capsys.readouterr().err
        return all(name in text for name in names)

    try:
        parts.until(told)
    finally:
        gate.set()
    return text


@pytest.mark.parametrize("plain", [False, True], ids=["async", "plain"])
def test_each_child_is_named_once(plain: bool, capsys: pytest.CaptureFixture[str]) -> None:
    gate, begun, texts = threading.Event(), threading.Semaphore(0), []
    opener = threading.Thread(
        target=lambda: texts.append(opened_when_told(capsys, gate, ["thread 'deaf'", "task 'deaf too'"]))
    )
    opener.start()
    if plain:
        with TaskGroup(name="crawl") as group:
            group.to_thread(deaf, gate, begun)
            group.create_task(deaf_too(gate, begun), name="deaf too")
            for _ in range(2):
                assert begun.acquire(timeout=parts.PATIENCE)
            group.cancel()
    else:
        parts.run(crawl(gate, begun))
    opener.join()
    told = texts[0] + capsys.readouterr().err
    assert told.count("fenshen: TaskGroup 'crawl' was cancelled 0.02 s ago, and waits for thread 'deaf'\n") == 1
    assert told.count("waits for task 'deaf too'\n") == 1
    assert "test_late.py" in told
    assert " in deaf\n" in told
    assert " in deaf_too\n" in told


async def crawl(gate: threading.Event, begun: threading.Semaphore) -> None:
    async with TaskGroup(name="crawl") as group:
        group.to_thread(deaf, gate, begun)
        group.create_task(deaf_too(gate, begun), name="deaf too")
        await asyncio.sleep(0)
        for _ in range(2):
            while not begun.acquire(blocking=False):
                await asyncio.sleep(0.001)
        group.cancel()


def test_a_shielded_child_is_called_so(capsys: pytest.CaptureFixture[str]) -> None:
    gate, texts = threading.Event(), []
    opener = threading.Thread(target=lambda: texts.append(opened_when_told(capsys, gate, ["which is shielded"])))
    opener.start()
    from fenshen import shield

    with TaskGroup() as group:
        shield(group.to_thread(gate.wait, parts.PATIENCE))
        group.cancel()
    opener.join()
    assert "waits for thread 'Event.wait', which is shielded" in texts[0]


PROGRAM = """
import threading, time
from fenshen import TaskGroup
from fenshen._groups import late
late.PATIENCE = 0.02
with TaskGroup() as group:
    group.to_thread(time.sleep, 0.3)
    group.cancel()
"""


@pytest.mark.parametrize("quiet", ["", "1"])
def test_quiet_silences_it(quiet: str, tmp_path: Path) -> None:
    script = tmp_path / "app.py"
    script.write_text(PROGRAM.replace("time.sleep, 0.3", "time.sleep, 0.5"))
    outcome = run([*RUN, str(script)], FENSHEN_QUIET=quiet)
    assert outcome.status == 0
    assert ("waits for thread 'sleep'" in outcome.err) == (not quiet)
