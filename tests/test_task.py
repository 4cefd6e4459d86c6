"""`fenshen.Task` is `asyncio.Task`: the same answers to everything a program can do with one."""

from __future__ import annotations

import asyncio
import contextvars
import copy
import functools
import gc
import inspect
import io
import pickle
import sys
import warnings
import weakref
from typing import Any

import pytest
from fenshen import _fenshen
from fenshen._fenshen import Task
from fenshen.loop import new_event_loop
from twins import OURS, Side, logged, on_both, open_loop, outcome, plain, spin

since_3_11 = pytest.mark.skipif(sys.version_info < (3, 11), reason="from Python 3.11 on")
variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="none")


async def nothing() -> str:
    return "nothing"


async def forever() -> None:
    await asyncio.get_running_loop().create_future()


async def fails() -> None:
    raise ValueError("v")


def states(side: Side, loop: Any) -> dict[str, Any]:
    """A task in every state."""
    tasks = {
        "waiting": side.Task(forever(), loop=loop, name="waiting"),
        "asked to end": side.Task(forever(), loop=loop, name="asked"),
        "done": side.Task(nothing(), loop=loop, name="done"),
        "failed": side.Task(fails(), loop=loop, name="failed"),
        "cancelled": side.Task(forever(), loop=loop, name="cancelled"),
    }
    tasks["cancelled"].cancel("why")
    spin(loop)
    tasks["new"] = side.Task(nothing(), loop=loop, name="new")
    tasks["asked to end"].cancel("please")
    return tasks


def finish(loop: Any, tasks: dict[str, Any]) -> None:
    for task in tasks.values():
        task.cancel()
    spin(loop, 5)
    for task in tasks.values():
        task.cancelled() or task.exception()


NO_ARGS = [
    "result",
    "exception",
    "done",
    "cancelled",
    "cancel",
    "get_loop",
    "get_name",
    "get_coro",
    "get_stack",
    "print_stack",
    "cancelling",
    "uncancel",
    "_make_cancelled_error",
    "__repr__",
]
ATTRIBUTES = ["_coro", "_fut_waiter", "_log_destroy_pending", "_must_cancel", "_state", "_loop", "_source_traceback"]


def test_every_method_in_every_state() -> None:
    methods = [m for m in NO_ARGS if hasattr(asyncio.Task, m) and m != "print_stack"]

    def program(side: Side) -> list[str]:
        seen = []
        with open_loop(side) as loop:
            for method in methods:
                tasks = states(side, loop)
                for state, task in tasks.items():
                    seen.append(f"{method} {state}: {outcome(getattr(task, method))}")
                for state, task in tasks.items():
                    seen.append(f"then {state}: {plain(task)}")
                finish(loop, tasks)
            for name in ATTRIBUTES:
                tasks = states(side, loop)
                for state, task in tasks.items():
                    seen.append(f"{name} {state}: {outcome(lambda: getattr(task, name))}")  # noqa: B023
                finish(loop, tasks)
        return seen

    on_both(program)


def test_wrong_arguments_raise_what_asyncio_raises() -> None:
    names = ["set_result", "set_exception", "set_name", "get_stack", "print_stack", "cancel", "get_name", "uncancel"]
    calls = [
        (name, args, kwargs)
        for name in names
        if hasattr(asyncio.Task, name)
        for args in ((), (1,), (1, 2))
        for kwargs in ({}, {"nonsense": 1}, {"limit": "x"})
    ]

    def program(side: Side) -> list[str]:
        seen = []
        with open_loop(side) as loop:
            for name, args, kwargs in calls:
                task = side.Task(nothing(), loop=loop)
                call = functools.partial(getattr(task, name), *args, **kwargs)
                seen.append(f"{name}{args}{kwargs}: {outcome(call, words=False)}")
                spin(loop)
                task.cancelled() or task.exception()
        return seen

    on_both(program)


def test_construction() -> None:
    class Callable:
        def __call__(self) -> None: ...

    def program(side: Side) -> list[str]:
        with open_loop(side) as loop:
            seen = [
                outcome(lambda: side.Task(), words=False),
                outcome(lambda: side.Task(nonsense=1), words=False),
                outcome(lambda: side.Task(1, 2), words=False),
                outcome(lambda: side.Task(5, loop=loop)),
                outcome(lambda: side.Task(nothing, loop=loop), words=False),
                outcome(lambda: side.Task(Callable(), loop=loop)),
                outcome(lambda: side.Task((x for x in "ab"), loop=loop), words=False),
                outcome(lambda: side.Task[int].__args__),
            ]
            for name in (None, "n", 5, 2.5, ("t",)):
                task = side.Task(nothing(), loop=loop, name=name)
                seen.append(plain(task.get_name()))
                task.set_name(name)
                seen.append(plain(task.get_name()))
            spin(loop)
            coroutine = nothing()
            seen.append(outcome(lambda: side.Task(coroutine, loop=5), words=False))
            coroutine.close()
            return seen

    on_both(program)


def test_names_are_numbered() -> None:
    async def main() -> None:
        tasks = [asyncio.ensure_future(nothing()) for _ in range(3)]
        numbers = [int(t.get_name().removeprefix("Task-")) for t in tasks]
        assert numbers == list(range(numbers[0], numbers[0] + 3))
        await asyncio.wait(tasks)

    with open_loop(OURS) as loop:
        loop.run_until_complete(main())


def test_an_uninitialised_task_answers_and_does_not_crash() -> None:
    def program(side: Side) -> list[str]:
        seen = []
        # asyncio's own answers to these are a crash, or depend on the version.
        left_out = ("cancel", "_make_cancelled_error", "get_stack", "print_stack", "get_coro")
        for name in [n for n in NO_ARGS if hasattr(asyncio.Task, n) and n not in left_out]:
            bare = side.Task.__new__(side.Task)
            seen.append(f"{name}: {outcome(getattr(bare, name), words=False)}")
        for name in ATTRIBUTES:
            bare = side.Task.__new__(side.Task)
            seen.append(f"{name}: {outcome(lambda: getattr(bare, name), words=False)}")  # noqa: B023
        gc.collect()
        return seen

    with logged():
        on_both(program)


def test_an_uninitialised_task_survives_everything() -> None:
    for name in [n for n in dir(Task) if n not in ("__class_getitem__", "__init_subclass__", "__subclasshook__")]:
        for args in ((), (1,), (print,)):
            bare = Task.__new__(Task)
            outcome(lambda: getattr(bare, name)(*args))  # noqa: B023
    for mode in ("awaited", "yielded", "gathered"):

        async def use(mode: str = mode) -> Any:
            bare = Task.__new__(Task)
            if mode == "gathered":
                return await asyncio.gather(bare)
            return await bare

        with open_loop(OURS) as loop, pytest.raises(RuntimeError):
            loop.run_until_complete(use())
    gc.collect()


def test_initialising_again_does_not_crash() -> None:
    with open_loop(OURS) as loop, logged():
        loop.set_exception_handler(lambda loop, context: None)
        held: list[Any] = []

        async def itself() -> None:
            Task.__init__(held[0], nothing(), loop=loop)
            gc.collect()
            await asyncio.sleep(0)

        for _ in range(6):
            held[:] = [Task(itself(), loop=loop)]
            spin(loop, 4)
            held[0].__init__(nothing(), loop=loop)
            spin(loop, 2)
            assert held[0].result() == "nothing"
            with pytest.raises(TypeError):
                held[0].__init__(5, loop=loop)
            repr(held)
            held.clear()
            gc.collect()


def test_it_cannot_be_copied_or_pickled() -> None:
    def program(side: Side) -> list[str]:
        with open_loop(side) as loop:
            task = side.Task(nothing(), loop=loop)
            spin(loop)
            actions = (copy.copy, copy.deepcopy, pickle.dumps)
            return [outcome(lambda: a(task), words=False) for a in actions]  # noqa: B023

    on_both(program)


def test_derived_classes() -> None:
    def program(side: Side) -> list[str]:
        seen: list[str] = []

        class Loud(side.Task):  # type: ignore[misc,name-defined]
            __slots__ = ("mine",)

            def cancel(self, msg: Any = None) -> Any:
                seen.append(f"cancel {msg}")
                return super().cancel(msg)

            def add_done_callback(self, fn: Any, *, context: Any = None) -> None:
                seen.append("add_done_callback")
                super().add_done_callback(fn, context=context)

            def __del__(self) -> None:
                seen.append(f"del {self.get_name()}")

        class NoSuper(side.Task):  # type: ignore[misc,name-defined]
            def __init__(self, coro: Any, **kwargs: Any) -> None:
                self.coro = coro

        with open_loop(side) as loop:
            loop.set_task_factory(lambda loop, coro, **kw: Loud(coro, loop=loop, **kw))

            async def wait(task: Any) -> Any:
                return await task

            inner = loop.create_task(forever(), name="inner")
            inner.mine = 5
            outer = loop.create_task(wait(inner), name="outer")
            spin(loop)
            seen.append(plain(inner).replace("Loud", "Task"))
            outer.cancel("stop")
            spin(loop, 5)
            seen += [outcome(outer.result), outcome(inner.result), plain(inner.mine)]
            del inner, outer
            gc.collect()
            bare = NoSuper(nothing())
            seen += [outcome(bare.result, words=False), outcome(lambda: bare.add_done_callback(print), words=False)]
            bare.coro.close()
            loop.set_task_factory(None)
        return seen

    on_both(program)


def test_a_dropped_pending_task_is_told_as_asyncio_tells_it() -> None:
    def program(side: Side) -> list[str]:
        seen: list[str] = []
        with open_loop(side) as loop, logged() as lines:
            loop.set_exception_handler(lambda loop, context: seen.append(plain(sorted(context.items()))))

            async def alone() -> None:
                await asyncio.get_running_loop().create_future()

            for handler in (True, False):
                if not handler:
                    loop.set_exception_handler(None)
                task = loop.create_task(alone(), name="dropped")
                spin(loop)
                del task
                gc.collect()
            seen += [plain(line) for line in lines]
        return seen

    assert len(on_both(program)) == 2


def test_a_task_dropped_before_its_first_step() -> None:
    def program(side: Side) -> list[str]:
        with warnings.catch_warnings(record=True) as warned, logged() as lines:
            warnings.simplefilter("always")
            loop = side.new_loop()
            loop.create_task(forever(), name="unrun")
            loop.close()
            gc.collect()
            del loop
            gc.collect()
            return [*(str(w.message) for w in warned), *(plain(line) for line in lines)]

    on_both(program)


def test_it_is_asyncios_to_everyone() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        task = asyncio.current_task()
        assert type(task) is Task
        assert isinstance(task, asyncio.Task)
        assert isinstance(task, asyncio.Future)
        assert asyncio.isfuture(task)
        assert asyncio.isfuture(loop.create_future())
        assert isinstance(loop.create_future(), asyncio.Future)
        assert not isinstance(loop.create_future(), asyncio.Task)
        assert asyncio.all_tasks() == {task}
        other = asyncio.create_task(forever())
        assert asyncio.all_tasks(loop) == {task, other}
        assert await asyncio.to_thread(asyncio.all_tasks, loop) == {task, other}
        assert await asyncio.to_thread(asyncio.current_task, loop) is None or True
        assert asyncio.current_task() is task
        assert {*_fenshen.live_tasks()} >= {task, other}
        other.cancel()
        await asyncio.wait([other])
        assert asyncio.all_tasks() == {task}

    with open_loop(OURS) as loop:
        loop.run_until_complete(main())
    if sys.version_info >= (3, 12):
        asyncio.run(main(), loop_factory=new_event_loop)
    elif sys.version_info >= (3, 11):
        with asyncio.Runner(loop_factory=new_event_loop) as runner:
            runner.run(main())


def test_stacks_are_asyncios() -> None:
    async def inner(future: Any) -> None:
        await future

    async def outer(future: Any) -> None:
        await inner(future)

    def program(side: Side) -> list[str]:
        seen: list[str] = []

        async def itself() -> None:
            stack = asyncio.current_task().get_stack()  # type: ignore[union-attr]
            seen.append(stack[-1].f_code.co_name)

        with open_loop(side) as loop:
            future = loop.create_future()
            task = side.Task(outer(future), loop=loop, name="t")
            for _ in range(2):
                for limit in (None, 0, 1, 5):
                    seen.append(str([f.f_code.co_name for f in task.get_stack(limit=limit)]))
                    file = io.StringIO()
                    task.print_stack(limit=limit, file=file)
                    seen.append(plain(file.getvalue()))
                spin(loop)
                future.done() or future.set_exception(ValueError("v"))
                spin(loop)
            loop.run_until_complete(itself())
            task.exception()
        return seen

    on_both(program)


def test_weak_references_and_the_registry() -> None:
    with open_loop(OURS) as loop:
        task = loop.create_task(nothing())
        reference = weakref.ref(task)
        assert task in asyncio.all_tasks(loop)
        spin(loop)
        assert asyncio.all_tasks(loop) == set()
        del task
        gc.collect()
        assert reference() is None


@pytest.mark.parametrize("name", [n for n in dir(asyncio.Task) if not n.startswith("__")])
def test_it_has_what_asyncios_has(name: str) -> None:
    mine, theirs = getattr(Task, name), getattr(asyncio.Task, name)
    if callable(theirs):
        assert mine.__doc__
        try:
            expected = inspect.signature(theirs)
        except ValueError:
            return  # CPython's own text is not well formed
        assert len(inspect.signature(mine).parameters) == len(expected.parameters)
