"""What "auto" makes of what it measured."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Any

import pytest
from fenshen import _fenshen, advise
from fenshen.advice import machine
from fenshen.flow import pipeline, stage
from fenshen.flow.choosing import Choice, Measured, of_coroutine, of_function

from flow import work
from flow.sides import on_fenshen

BURNS = Measured(
    calls=20, wall=0.02, cpu=0.01, lock_wait=0.01, bytes=1000, pickling=20e-6, refused="", kind="under", own=0.01
)


@pytest.mark.parametrize(
    ("changed", "cpus", "model", "why"),
    [
        ({}, 2, "process", "it computes under the interpreter lock"),
        ({"kind": "both"}, 2, "process", "it computes, in part under the interpreter lock"),
        ({"kind": "mixed", "own": 0.015}, 2, "process", "it waits and computes"),
        ({"kind": "holding", "cpu": 0.001}, 2, "process", "it sleeps while it holds the interpreter lock"),
        ({}, 1, "thread", "there is one CPU to use"),
        ({"pickling": 0.02}, 2, "thread", "moving its data costs as much as it would gain"),
        ({"refused": "item.lock is a _thread.lock"}, 2, "thread", "cannot be sent to a process: item.lock is a"),
        ({"cpu": 20e-6, "own": 20e-6}, 2, "thread", "too short to be worth sending"),
        ({"kind": "few"}, 2, "thread", "too few calls to tell"),
        ({"kind": "waits", "cpu": 1e-6}, 2, "thread", "it waits for something outside of the process"),
        ({"kind": "threads"}, 2, "thread", "it waits for other threads"),
        ({"kind": "outside"}, 2, "thread", "it computes outside of the interpreter lock"),
    ],
)
def test_functions(changed: dict[str, Any], cpus: int, model: str, why: str) -> None:
    choice = of_function("one", BURNS._replace(**changed), cpus)
    assert choice.model == model
    assert why in choice.why


@pytest.mark.parametrize(
    ("changed", "cpus", "model", "why"),
    [
        ({}, 2, "process+async", "its steps hold the loop for 95% of the time"),
        ({"share": 0.3}, 2, "async", "it awaits: its steps hold the loop for 30% of the time"),
        ({"own": 50e-6}, 2, "async", "too short"),
        ({"refused": "the item is a generator"}, 2, "async", "cannot be sent"),
        ({}, 1, "async", "nothing is gained"),
        ({"pickling": 0.01}, 2, "async", "nothing is gained"),
    ],
)
def test_coroutines(changed: dict[str, Any], cpus: int, model: str, why: str) -> None:
    measured = BURNS._replace(kind="awaits", share=0.95)._replace(**changed)
    choice = of_coroutine("one", measured, cpus)
    assert choice.model == model
    assert why in choice.why


def test_words() -> None:
    assert str(of_function("parse", BURNS, 2)) == (
        "stage 'parse' runs as 'process': it computes under the interpreter lock (20 calls of 20 ms, 10 ms of that CPU "
        "time, 10 ms waiting for the interpreter lock, 1 kB to move)"
    )
    assert str(Choice("parse", "thread", "so it is")) == "stage 'parse' runs as 'thread': so it is"


def chosen(make: Callable[[], Any], wanted: str) -> Choice:
    """What is picked, on a machine that may be too busy to see it at first."""
    for _ in range(20):
        pipe = make()
        pipe.run(collect=False)
        (choice,) = pipe.choices
        if choice.model == wanted:
            return choice
    raise AssertionError(f"{choice}")


@pytest.fixture
def two_cpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "cpus", lambda: 2.0)


def test_waiting_stays_in_threads(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "fenshen.flow")
    pipe = pipeline([0.01] * 60, stage(work.nap, name="rest"))
    assert pipe.run() == [0.01] * 60
    (choice,) = pipe.choices
    assert choice.stage == "rest"
    assert choice.model == "thread"
    assert caplog.messages == [str(choice)]


@pytest.mark.usefixtures("two_cpus")
def test_computing_goes_to_processes() -> None:
    choice = chosen(lambda: pipeline([300_000] * 40, stage(work.spin, "auto")), "process")
    assert choice.why == "it computes under the interpreter lock"
    assert choice.measured is not None
    assert choice.measured.cpu > 1e-3
    assert choice.measured.bytes is not None
    assert choice.measured.bytes < 200


@pytest.mark.usefixtures("two_cpus")
def test_computing_with_what_cannot_be_sent_stays_in_threads() -> None:
    lock = threading.Lock()

    def fn(item: Any) -> int:
        return work.spin(item[0])

    pipe = pipeline([(200_000, lock)] * 60, stage(fn, "auto"))
    pipe.run(collect=False)
    assert pipe.choices[0].model == "thread"
    measured = pipe.choices[0].measured
    assert measured is None or measured.refused.startswith("the item[1] is a _thread.lock")


@pytest.mark.usefixtures("two_cpus")
def test_coroutines_that_compute_go_to_processes() -> None:
    choice = chosen(lambda: pipeline([100_000] * 100, stage(work.aspin, "auto")), "process+async")
    assert choice.measured is not None
    assert choice.measured.share > 0.5


def test_coroutines_that_wait_stay_on_the_loop() -> None:
    pipe = pipeline([0.02] * 800, stage(work.anap, "auto", workers=40))
    on_fenshen(pipe.arun(collect=False))
    (choice,) = pipe.choices
    assert choice.model == "async"
    assert "it awaits" in choice.why or "it was over" in choice.why


def test_what_is_over_too_soon() -> None:
    pipe = pipeline([1], stage(work.double, "auto"))
    assert pipe.run() == [2]
    assert [str(choice) for choice in pipe.choices] == [
        "stage 'double' runs as 'thread': it was over before enough was measured"
    ]


def test_generators_are_not_measured() -> None:
    pipe = pipeline([2], stage(work.upto, "auto"), stage(work.aupto, "auto"))
    assert pipe.run() == [0]
    assert [(choice.model, choice.why) for choice in pipe.choices] == [
        ("thread", "a generator is not measured"),
        ("async", "a generator is not measured"),
    ]


def test_given_models_are_no_choices() -> None:
    pipe = pipeline([2], stage(work.double, "thread"))
    pipe.run()
    assert pipe.choices == ()


def test_nothing_measures_any_more_afterwards() -> None:
    for _ in range(3):
        pipeline([0.001] * 20, stage(work.nap, "auto"), stage(work.double, "auto")).run()
    before = len(_fenshen.helper_threads())
    rows = [row[1][0] for row in _fenshen.advise_counts()]
    threading.Thread(target=work.nap, args=[0.01]).start()
    pipeline([0.001] * 20, stage(work.nap, "thread")).run()
    assert [row[1][0] for row in _fenshen.advise_counts()] == rows
    assert len(_fenshen.helper_threads()) == before
    assert not advise._state["pid"]
