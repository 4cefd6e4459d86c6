"""`fenshen.Future` is `asyncio.Future`: the same answers to everything a program can do with one."""

from __future__ import annotations

import asyncio
import contextvars
import copy
import gc
import inspect
import pickle
import traceback
import weakref
from typing import Any

import pytest
from fenshen._fenshen import Future
from twins import ASYNCIO, OURS, Side, logged, on_both, open_loop, outcome, plain, sides, spin

ATTRIBUTES = [
    "_asyncio_future_blocking",
    "_callbacks",
    "_cancel_message",
    "_exception",
    "_log_traceback",
    "_loop",
    "_result",
    "_source_traceback",
    "_state",
]
NO_ARGS = ["result", "exception", "done", "cancelled", "cancel", "get_loop", "__iter__", "__await__", "__repr__"]


def states(side: Side, loop: Any) -> dict[str, Any]:
    """A future in every state."""
    futures = {name: side.Future(loop=loop) for name in ("pending", "result", "exception", "cancelled", "worded")}
    futures["result"].set_result([1])
    futures["exception"].set_exception(ValueError("v"))
    futures["cancelled"].cancel()
    futures["worded"].cancel("why")
    return futures


def test_every_method_in_every_state() -> None:
    def program(side: Side) -> list[str]:
        seen = []
        with open_loop(side) as loop:
            for method in [*NO_ARGS, "_make_cancelled_error"]:
                for state, future in states(side, loop).items():
                    text = outcome(lambda: getattr(future, method)())  # noqa: B023
                    seen.append(f"{method} {state}: {text}".replace("asyncio.exceptions.", ""))
            for name in ATTRIBUTES:
                for state, future in states(side, loop).items():
                    if name == "_exception":
                        future.cancel()
                    seen.append(f"{name} {state}: {outcome(lambda: getattr(future, name))}")  # noqa: B023
                    future.cancelled() or (future.done() and future.exception())
        return [line for line in seen if "__iter__" not in line and "__await__" not in line]

    on_both(program)


def test_wrong_arguments_raise_what_asyncio_raises() -> None:
    calls: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = [
        (name, args, kwargs)
        for name in (*NO_ARGS[:6], "set_result", "set_exception", "add_done_callback", "remove_done_callback")
        for args in ((), (1,), (1, 2), (1, 2, 3))
        for kwargs in ({}, {"nonsense": 1}, {"msg": 1}, {"context": 1})
        if not (name == "add_done_callback" and len(args) == 1)
    ]
    calls += [("set_exception", (x,), {}) for x in (int, BaseException, StopIteration, StopIteration(1), None, object)]
    calls += [("add_done_callback", (print,), {"context": None})]
    calls += [("cancel", ("a",), {"msg": "b"}), ("cancel", (), {"msg": None}), ("__init__", (1,), {})]
    calls += [("__init__", (), {"loop": 5}), ("__setattr__", ("x", 1), {}), ("__delattr__", ("_state",), {})]

    def program(side: Side) -> list[str]:
        seen = []
        with open_loop(side) as loop:
            for name, args, kwargs in calls:
                future = side.Future(loop=loop)
                method = getattr(future, name)
                seen.append(f"{name}{args}{kwargs}: {outcome(lambda: method(*args, **kwargs), words=False)}")  # noqa: B023
                if future.done() and not future.cancelled():
                    seen.append(f"then {outcome(future.exception)}")
        return seen

    on_both(program)


def test_construction() -> None:
    class Odd:
        def get_debug(self) -> Any:
            raise LookupError("debug")

    class Maybe:
        def get_debug(self) -> Any:
            return []

    def program(side: Side) -> list[str]:
        return [
            outcome(lambda: side.Future(1), words=False),
            outcome(lambda: side.Future(nonsense=1), words=False),
            outcome(lambda: side.Future(loop=Odd())),
            outcome(lambda: side.Future(loop=5)),
            outcome(lambda: side.Future(loop=Maybe()).done()),
            outcome(lambda: side.Future[int].__origin__ is side.Future),
            outcome(lambda: bool(inspect.signature(side.Future).parameters["loop"].default is None)),
        ]

    on_both(program)


def test_attributes_can_be_set_and_deleted_as_asyncios() -> None:
    def program(side: Side) -> list[str]:
        seen = []
        with open_loop(side) as loop:
            for name in [*ATTRIBUTES, "anything"]:
                if name == "_source_traceback":
                    continue  # asyncio shortens it by a frame; ours can be set too
                for value in (None, True, False, 5, "text", {"a": 1}):
                    future = side.Future(loop=loop)
                    seen.append(f"{name} = {value}: {outcome(lambda: setattr(future, name, value), words=False)}")  # noqa: B023
                    seen.append(f"{name}: {outcome(lambda: getattr(future, name), words=False)}")  # noqa: B023
                future = side.Future(loop=loop)
                seen.append(f"del {name}: {outcome(lambda: delattr(future, name), words=False)}")  # noqa: B023
        return seen

    on_both(program)


def test_an_uninitialised_future_answers_and_does_not_crash() -> None:
    def program(side: Side) -> list[str]:
        seen = []
        for name in (*NO_ARGS, "_make_cancelled_error"):
            bare = side.Future.__new__(side.Future)
            seen.append(f"{name}: {outcome(getattr(bare, name), words=False)}")
        for name, args in (
            ("set_result", (1,)),
            ("set_exception", (ValueError(),)),
            ("add_done_callback", (print,)),
            ("remove_done_callback", (print,)),
        ):
            bare = side.Future.__new__(side.Future)
            seen.append(f"{name}: {outcome(lambda: getattr(bare, name)(*args), words=False)}")  # noqa: B023
        for name in ATTRIBUTES:
            bare = side.Future.__new__(side.Future)
            seen.append(f"{name}: {outcome(lambda: getattr(bare, name), words=False)}")  # noqa: B023
        gc.collect()
        return seen

    on_both(program)


def test_it_cannot_be_copied_or_pickled() -> None:
    def program(side: Side) -> list[str]:
        with open_loop(side) as loop:
            future = side.Future(loop=loop)
            return [
                outcome(lambda: copy.copy(future), words=False),
                outcome(lambda: copy.deepcopy(future), words=False),
                outcome(lambda: pickle.dumps(future), words=False),
            ]

    on_both(program)


def test_derived_classes() -> None:
    def program(side: Side) -> list[str]:
        class Slots(side.Future):  # type: ignore[misc,name-defined]
            __slots__ = ("mine",)

        class NoSuper(side.Future):  # type: ignore[misc,name-defined]
            def __init__(self) -> None:
                pass

        class Overrides(side.Future):  # type: ignore[misc,name-defined]
            def add_done_callback(self, fn: Any, *, context: Any = None) -> None:
                seen.append("add_done_callback")
                super().add_done_callback(fn, context=context)

            def cancel(self, msg: Any = None) -> Any:
                seen.append(f"cancel {msg}")
                return super().cancel(msg)

            def result(self) -> Any:
                seen.append("result")
                return super().result()

            def get_loop(self) -> Any:
                seen.append("get_loop")
                return super().get_loop()

            def __del__(self) -> None:
                seen.append("del")

        seen: list[str] = []
        with open_loop(side) as loop:
            slots = Slots(loop=loop)
            slots.mine = 1
            seen.append(outcome(lambda: slots.mine))
            bare = NoSuper()
            seen += [outcome(bare.result, words=False), outcome(lambda: bare.add_done_callback(print), words=False)]
            seen += [outcome(lambda: loop.run_until_complete(bare), words=False)]

            async def wait(future: Any) -> Any:
                return await future

            for end in ("set_result", "cancel"):
                future = Overrides(loop=loop)
                task = side.Task(wait(future), loop=loop)
                spin(loop)
                task.cancel("from the task") if end == "cancel" else future.set_result(7)
                spin(loop)
                seen.append(outcome(task.result, words=False))
                del future, task
            gc.collect()
            seen.append(type(side.Future.__new__(Slots)).__name__)
            for kind in (Slots, NoSuper, Overrides):
                seen.append(f"{isinstance(kind.__new__(kind), asyncio.Future) or side.name}")
        return [s.replace(side.name, "True") for s in seen]

    on_both(program)


def test_callbacks_are_told_apart_and_removed_as_in_asyncio() -> None:
    def program(side: Side) -> list[Any]:
        seen: list[Any] = []

        class Same:
            def __init__(self, name: str) -> None:
                self.name = name

            def __call__(self, future: Any) -> None:
                seen.append(self.name)

            def __eq__(self, other: object) -> bool:
                return isinstance(other, Same)

            __hash__ = None  # type: ignore[assignment]

        class Bad(Same):
            def __eq__(self, other: object) -> bool:
                raise LookupError("eq")

        with open_loop(side) as loop:
            for callbacks in ("", "a", "ab", "ababab", "Aab", "BabB", "bBa"):
                future = side.Future(loop=loop)
                for c in callbacks:
                    future.add_done_callback({"a": Same(c), "A": seen.append, "b": print, "B": Bad(c)}[c])
                seen.append(outcome(lambda: future.remove_done_callback(Same("x"))))  # noqa: B023
                seen.append(outcome(lambda: len(future._callbacks or ())))  # noqa: B023
                seen.append(outcome(lambda: future.remove_done_callback(None), words=False))  # noqa: B023
        return seen

    on_both(program)


def test_a_future_that_is_changed_while_it_is_at_work() -> None:
    """`==`, done-callbacks and exception classes that call back into the same future."""

    def program(side: Side) -> list[Any]:
        seen: list[Any] = []
        with open_loop(side) as loop:

            class Meddler:
                def __init__(self, what: Any) -> None:
                    self.what = what

                def __call__(self, f: Any) -> None:
                    seen.append("called")

                def __eq__(self, other: object) -> bool:
                    self.what()
                    return False

                __hash__ = None  # type: ignore[assignment]

            future = side.Future(loop=loop)
            future.add_done_callback(Meddler(gc.collect))
            future.add_done_callback(Meddler(lambda: future.add_done_callback(lambda f: seen.append("added"))))
            seen.append(future.remove_done_callback(object()))
            future.set_result(1)
            spin(loop)

            future = side.Future(loop=loop)
            future.add_done_callback(lambda f: f.add_done_callback(lambda f: seen.append("late")))
            future.add_done_callback(lambda f: seen.append(f.remove_done_callback(print)))
            future.add_done_callback(lambda f: seen.append(outcome(lambda: f.set_result(2))))
            future.add_done_callback(lambda f: seen.append(f.cancel()))
            future.add_done_callback(lambda f: seen.append(gc.collect() >= 0))
            future.set_result(1)
            spin(loop)
        return seen

    on_both(program)


def test_an_exception_class_that_ends_the_future_itself() -> None:
    def program(side: Side) -> str:
        with open_loop(side) as loop:
            future = side.Future(loop=loop)

            class Early(Exception):
                def __init__(self) -> None:
                    if not future.done():
                        future.set_exception(ValueError("first"))
                        gc.collect()

            first = outcome(lambda: future.set_exception(Early), words=False)
            return f"{first} {type(future.exception()).__name__} {future.done()}"

    assert program(ASYNCIO).endswith("True")
    assert program(OURS).endswith("True")


def test_removal_by_a_comparison_that_ends_the_future_loses_no_callback() -> None:
    with open_loop(OURS) as loop:
        called: list[str] = []
        future = loop.create_future()

        class Ends:
            def __eq__(self, other: object) -> bool:
                if not future.done():
                    future.set_result(None)
                return False

            __hash__ = None  # type: ignore[assignment]

        future.add_done_callback(lambda f: called.append("first"))
        future.add_done_callback(lambda f: called.append("second"))
        future.remove_done_callback(Ends())
        spin(loop)
        assert called == ["first", "second"]


@sides
def test_dropping_in_the_middle(side: Side) -> None:
    """`__del__` of what a future held finds it in order."""
    seen: list[Any] = []

    class Last:
        def __init__(self, future: Any) -> None:
            self.future = weakref.ref(future)

        def __call__(self, f: Any) -> None:
            pass

        def __del__(self) -> None:
            future = self.future()
            if future is not None:
                seen.append((future.cancel(), future.done(), len(future._callbacks or ())))

    with open_loop(side) as loop:
        future = side.Future(loop=loop)
        future.add_done_callback(Last(future))
        future.remove_done_callback(next(iter(future._callbacks))[0])
        gc.collect()
        assert seen == [(True, True, 0)]


def test_an_exception_never_retrieved_is_told_as_asyncio_tells_it() -> None:
    def program(side: Side) -> list[str]:
        with open_loop(side) as loop, logged() as lines:
            contexts: list[Any] = []
            loop.set_exception_handler(lambda loop, context: contexts.append(plain(sorted(context))))
            future = side.Future(loop=loop)
            future.set_exception(ValueError("lost"))
            del future
            loop.set_exception_handler(None)
            future = side.Future(loop=loop)
            future.set_exception(ValueError("logged"))
            del future
            future = side.Future(loop=loop)
            future.set_exception(ValueError("seen"))
            future.exception()
            del future
            future = side.Future(loop=loop)
            future.set_exception(ValueError("silenced"))
            future._log_traceback = False
            del future
            gc.collect()
            return contexts + [plain(line) for line in lines]

    assert len(on_both(program)) == 2


def test_awaiting_twice_does_not_grow_the_traceback() -> None:
    def program(side: Side) -> int:
        lengths: list[int] = []

        async def main() -> None:
            future = side.Future(loop=asyncio.get_running_loop())
            try:
                raise ValueError("v")
            except ValueError as e:
                future.set_exception(e)
            for _ in range(5):
                try:
                    await future
                except ValueError as e:
                    lengths.append(len(traceback.extract_tb(e.__traceback__)))

        with open_loop(side) as loop:
            loop.run_until_complete(main())
        return max(lengths)

    assert on_both(program) == 2


def test_the_iterator_of_an_await() -> None:
    def program(side: Side) -> list[str]:
        seen = []
        with open_loop(side) as loop:
            for kind in ("__await__", "__iter__"):
                future = side.Future(loop=loop)
                it = getattr(future, kind)()
                seen.append(outcome(lambda: it.send(None) is future))  # noqa: B023
                seen.append(outcome(lambda: it.send(None)))  # noqa: B023
                future.set_result(5)
                seen.append(outcome(lambda: next(it)))  # noqa: B023
                seen.append(outcome(lambda: next(it), words=False))  # noqa: B023
                it = getattr(side.Future(loop=loop), kind)()
                seen.append(outcome(lambda: it.throw(ValueError("v"))))  # noqa: B023
                seen.append(outcome(lambda: it.throw(5), words=False))  # noqa: B023
                seen.append(outcome(lambda: it.throw(), words=False))  # noqa: B023
                seen.append(outcome(it.close))
                seen.append(outcome(lambda: next(it), words=False))  # noqa: B023
                done = side.Future(loop=loop)
                done.set_result((1, 2))
                try:
                    next(getattr(done, kind)())
                except StopIteration as e:
                    seen.append(plain(e.value))
        return seen

    on_both(program)


def test_callbacks_run_in_their_contexts() -> None:
    variable = contextvars.ContextVar("variable", default="none")

    def program(side: Side) -> list[str]:
        seen: list[str] = []
        with open_loop(side) as loop:
            future = side.Future(loop=loop)
            context = contextvars.copy_context()
            context.run(variable.set, "given")
            future.add_done_callback(lambda f: seen.append(variable.get()))
            future.add_done_callback(lambda f: seen.append(variable.get()), context=context)
            context.run(future.add_done_callback, lambda f: seen.append(variable.get()))
            future.add_done_callback(lambda f: variable.set("changed") and seen.append("x"), context=context)
            future.add_done_callback(lambda f: seen.append(variable.get()), context=context)
            future.set_result(1)
            spin(loop)
            future.add_done_callback(lambda f: seen.append(variable.get()), context=context)
            spin(loop)
        return seen

    assert on_both(program) == ["none", "given", "given", "x", "changed", "changed"]


def test_weak_references_and_hashes() -> None:
    with open_loop(OURS) as loop:
        future = Future(loop=loop)
        told: list[bool] = []
        reference = weakref.ref(future, lambda _: told.append(True))
        assert {future: 1}[future] == 1
        assert future == reference()
        del future
        assert reference() is None
        assert told == [True]


@pytest.mark.parametrize("name", [n for n in dir(asyncio.Future) if not n.startswith("__")])
def test_it_has_what_asyncios_has(name: str) -> None:
    mine, theirs = getattr(Future, name), getattr(asyncio.Future, name)
    if callable(theirs):
        assert mine.__doc__
        try:
            expected = inspect.signature(theirs)
        except ValueError:
            expected = None  # CPython's own text is not well formed
        if expected is not None:
            assert len(inspect.signature(mine).parameters) == len(expected.parameters)


def test_repr_in_every_state() -> None:
    def program(side: Side) -> list[str]:
        with open_loop(side) as loop:
            seen = []
            for debug in (False, True):
                loop.set_debug(debug)
                for future in states(side, loop).values():
                    seen.append(plain(future))
                    future.add_done_callback(print)
                    seen.append(plain(future))
                    future.add_done_callback(states)
                    future.add_done_callback(states)
                    seen.append(plain(future))
                    future.cancelled() or (future.done() and future.exception())
            return seen

    on_both(program)
