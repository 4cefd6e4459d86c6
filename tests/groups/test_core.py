"""The core of a group, on our loop and on asyncio's: who comes, who goes, and what is left of them."""

# ruff: noqa: PT012 - what a group's body does belongs into the block that raises

from __future__ import annotations

import asyncio
import contextvars
import gc
import inspect
import sys
import weakref
from collections.abc import Callable, Coroutine
from typing import Any

import fenshen
import pytest
from commands import needs_native
from fenshen import TaskGroup
from fenshen._groups.core import entered_groups

from groups import parts

pytestmark = needs_native

Run = Callable[[Coroutine[Any, Any, Any]], Any]
_eager = sys.version_info >= (3, 12)


@pytest.fixture(params=["fenshen", "asyncio"])
def run(request: Any) -> Run:
    """Runs a coroutine, for a minute at most."""
    runner: Any = fenshen.run if request.param == "fenshen" else asyncio.run
    return lambda main: runner(asyncio.wait_for(main, parts.PATIENCE))


def factory(kind: str) -> Any:
    """A task factory, of tasks that are ours, asyncio's, asyncio's in Python, or of a class derived from ours."""

    class Derived(fenshen.asyncio.Task):  # type: ignore[misc]
        pass

    made: Any = {
        "ours": fenshen.asyncio.Task,
        "asyncio": asyncio.tasks._CTask,  # type: ignore[attr-defined]
        "python": asyncio.tasks._PyTask,  # type: ignore[attr-defined]
        "derived": Derived,
    }[kind]
    return lambda loop, coro, **options: made(coro, loop=loop, **options)


def refuse(group: Any, why: str) -> None:
    """A group that takes no more children."""
    coro = parts.fail_soon("never")
    with pytest.raises(RuntimeError, match=why):
        group.create_task(coro)
    coro.close()


# -- Who comes --------------------------------------------------------------------------------------------------------


def test_many_children(run: Run) -> None:
    async def main() -> list[int]:
        async with TaskGroup() as group:
            tasks = [group.create_task(parts.after_a_step(n)) for n in range(1000)]
            assert len(group._tasks) == 1000
            assert repr(group) == "<TaskGroup tasks=1000 entered>"
        assert not group._tasks
        return [task.result() for task in tasks]

    assert run(main()) == list(range(1000))


@pytest.mark.parametrize("kind", ["ours", "asyncio", "python", "derived"])
def test_tasks_of_any_factory(kind: str, run: Run) -> None:
    async def main() -> None:
        asyncio.get_running_loop().set_task_factory(factory(kind))
        async with TaskGroup() as group:
            tasks = [group.create_task(parts.after_a_step(n), name=f"number {n}") for n in range(5)]
        assert [task.result() for task in tasks] == list(range(5))
        assert tasks[3].get_name() == "number 3"
        with pytest.raises(parts.ExceptionGroup) as caught:
            async with TaskGroup() as group:
                other = group.create_task(asyncio.sleep(parts.PATIENCE))
                group.create_task(parts.fail_soon("it"))
        assert [str(error) for error in caught.value.exceptions] == ["it"]
        assert other.cancelled()

    run(main())


@pytest.mark.skipif(not _eager, reason="tasks start eagerly from Python 3.12 on")
def test_eager_children(run: Run) -> None:
    async def at_once(x: int) -> int:
        return x

    async def fails() -> None:
        raise ValueError("at once")

    async def main() -> None:
        asyncio.get_running_loop().set_task_factory(asyncio.eager_task_factory)  # type: ignore[attr-defined,unused-ignore]
        async with TaskGroup() as group:
            task = group.create_task(at_once(1))
            assert task.done()
            assert not group._tasks
            later = group.create_task(parts.after_a_step(2))
            assert group._tasks == {later}
        assert (task.result(), later.result()) == (1, 2)
        with pytest.raises(parts.ExceptionGroup) as caught:
            async with TaskGroup() as group:
                group.create_task(fails())
                refuse(group, "is shutting down")
                await asyncio.sleep(parts.PATIENCE)
        assert [str(error) for error in caught.value.exceptions] == ["at once"]

    run(main())


def test_name_and_context(run: Run) -> None:
    number = contextvars.ContextVar("number", default=0)

    async def main() -> None:
        context = contextvars.copy_context()
        context.run(number.set, 5)

        async def seen() -> int:
            return number.get()

        options = {"context": context} if sys.version_info >= (3, 11) else {}
        async with TaskGroup() as group:
            named = group.create_task(seen(), name="named", **options)
            plain = group.create_task(coro=seen(), name=None, context=None)
        assert named.get_name() == "named"
        assert named.result() == (5 if options else 0)
        assert plain.result() == 0
        assert plain.get_name().startswith("Task-")

    run(main())


def test_what_is_no_child(run: Run) -> None:
    async def main() -> None:
        async with TaskGroup() as group:
            with pytest.raises(TypeError):
                group.create_task(1)
            with pytest.raises(TypeError, match="coro"):
                group.create_task()
            with pytest.raises(TypeError):
                group.create_task(None, "name")
            with pytest.raises(TypeError):
                group.create_task(None, no_option=1)
            assert not group._tasks

    run(main())


def test_a_child_of_a_child(run: Run) -> None:
    async def main() -> list[str]:
        seen = []

        async def grandchild() -> None:
            await asyncio.sleep(0)
            seen.append("grandchild")

        async def child(group: Any) -> None:
            await asyncio.sleep(0)
            group.create_task(grandchild())  # the body has ended, the block has not
            seen.append("child")

        async with TaskGroup() as group:
            group.create_task(child(group))
        refuse(group, "is finished")
        return seen

    assert run(main()) == ["child", "grandchild"]


# -- Who goes ---------------------------------------------------------------------------------------------------------


def test_a_thousand_failures(run: Run) -> None:
    async def main() -> None:
        with pytest.raises(parts.ExceptionGroup) as caught:
            async with TaskGroup() as group:
                tasks = [group.create_task(parts.fail_soon(str(n))) for n in range(1000)]
        assert all(task.done() for task in tasks)
        assert len(caught.value.exceptions) == 1000
        assert asyncio.current_task().cancelling() == 0 if hasattr(asyncio.Task, "cancelling") else True

    run(main())


def test_a_thousand_are_cancelled(run: Run) -> None:
    async def main() -> None:
        said = []

        async def child() -> None:
            try:
                await asyncio.sleep(parts.PATIENCE)
            except asyncio.CancelledError as e:
                said.append(e.args)
                raise

        async with TaskGroup() as group:
            tasks = [group.create_task(child()) for _ in range(1000)]
            await asyncio.sleep(0)
            group.cancel("enough")
            await asyncio.sleep(parts.PATIENCE)
        assert all(task.cancelled() for task in tasks)
        assert said == [("enough",)] * 1000

    run(main())


def test_a_cancellation_that_fails_is_told(run: Run) -> None:
    """The other children are cancelled all the same."""

    class Stubborn(asyncio.Future):  # type: ignore[type-arg]
        def cancel(self, msg: Any = None) -> bool:
            self.set_result(None)
            raise LookupError("not me")

    async def waits(future: Any) -> None:
        await future

    async def main() -> None:
        loop = asyncio.get_running_loop()
        with pytest.raises(LookupError, match="not me"):
            async with TaskGroup() as group:
                tasks = [group.create_task(waits(Stubborn(loop=loop)))]
                tasks += [group.create_task(asyncio.sleep(parts.PATIENCE)) for _ in range(20)]
                await asyncio.sleep(0)
                raise ValueError("the body's")
        await asyncio.wait(tasks)
        assert [task.cancelled() for task in tasks] == [tasks[0].cancelled()] + [True] * 20

    run(main())


def test_the_callback_can_be_seen_and_taken_off() -> None:
    async def main() -> None:
        async with TaskGroup() as group:
            task = group.create_task(asyncio.sleep(0))
            assert [callback.__self__ for callback, _ in task._callbacks] == [group]
            assert task.remove_done_callback(group._on_task_done) == 1
            await task
            assert group._tasks == {task}
            group._on_task_done(task)
            assert not group._tasks

    parts.run(main())


# -- The block --------------------------------------------------------------------------------------------------------


def test_a_block_that_is_closed_while_it_waits(run: Run) -> None:
    async def block(gate: asyncio.Event) -> None:
        async with TaskGroup() as group:
            group.create_task(gate.wait())

    async def main() -> None:
        gate = asyncio.Event()
        coro = block(gate)
        coro.send(None)
        reference = weakref.ref(entered_groups()[0])
        coro.close()
        gate.set()
        for _ in range(5):
            await asyncio.sleep(0)
        gc.collect()
        assert reference() is None

    run(main())


def test_the_parent_is_cancelled_twice(run: Run) -> None:
    async def slow() -> None:
        try:
            await asyncio.sleep(parts.PATIENCE)
        finally:
            await asyncio.sleep(0.01)

    async def block(tasks: list[Any]) -> None:
        async with TaskGroup() as group:
            tasks.append(group.create_task(slow()))

    async def main() -> None:
        tasks: list[Any] = []
        parent = asyncio.ensure_future(block(tasks))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        parent.cancel()
        await asyncio.sleep(0)
        parent.cancel()
        with pytest.raises(asyncio.CancelledError):
            await parent
        assert tasks[0].cancelled()

    run(main())


def test_entering_twice_and_without_a_task(run: Run) -> None:
    async def main() -> None:
        async with TaskGroup() as group:
            with pytest.raises(RuntimeError, match="has already been entered"):
                await group.__aenter__()
        entering = TaskGroup().__aenter__()
        loop = asyncio.get_running_loop()
        failure = loop.create_future()

        def without_a_task() -> None:
            try:
                entering.send(None)
            except RuntimeError as e:
                failure.set_result(str(e))

        loop.call_soon(without_a_task)
        assert "cannot determine the parent task" in await failure

    run(main())
    with pytest.raises(RuntimeError, match="no running event loop"):
        TaskGroup().__aenter__().send(None)


def test_a_derived_class(run: Run) -> None:
    class Counting(TaskGroup):
        def __init__(self, start: int) -> None:
            super().__init__(name="counting")
            self.count = start

        def create_task(self, coro: Any, **options: Any) -> Any:
            self.count += 1
            return super().create_task(coro, **options)

        async def __aenter__(self) -> Any:
            self.count += 10
            return await super().__aenter__()

        async def __aexit__(self, *args: Any) -> bool:
            self.count += 100
            return await super().__aexit__(*args)

    async def main() -> int:
        async with Counting(1000) as group:
            group.create_task(asyncio.sleep(0))
            assert repr(group) == "<Counting 'counting' tasks=1 entered>"
        return group.count

    assert run(main()) == 1111


@pytest.mark.skipif(sys.version_info < (3, 11), reason="asyncio has no TaskGroup there, which ours stands for")
def test_what_inspect_says() -> None:
    assert inspect.iscoroutinefunction(TaskGroup.__aenter__)
    assert inspect.iscoroutinefunction(TaskGroup().__aexit__)
    assert list(inspect.signature(TaskGroup.create_task).parameters) == ["self", "coro", "name", "context", "options"]


# -- What is left -----------------------------------------------------------------------------------------------------


def test_nothing_is_left(run: Run) -> None:
    """Neither the group nor the errors need a garbage collection to go."""

    class Marked(ValueError):
        pass

    async def fails() -> None:
        raise Marked

    async def well() -> Any:
        async with TaskGroup() as group:
            group.create_task(asyncio.sleep(0))
        return weakref.ref(group)

    async def badly() -> Any:
        try:
            async with TaskGroup() as group:
                group.create_task(fails())
        except parts.ExceptionGroup as e:
            return weakref.ref(group), weakref.ref(e.exceptions[0])

    async def main() -> None:
        gc.collect()
        gc.disable()
        try:
            assert (await well())() is None
            group, error = await badly()
            await asyncio.sleep(0)
            assert (group(), error()) == (None, None)
        finally:
            gc.enable()

    run(main())


def test_a_ring_is_collected(run: Run) -> None:
    async def main() -> Any:
        group = TaskGroup()
        await group.__aenter__()
        group.itself = group  # type: ignore[attr-defined]
        group._errors.append(ValueError(group))
        return weakref.ref(group)

    reference = run(main())
    gc.collect()
    assert reference() is None


def test_memory_does_not_grow(run: Run) -> None:
    async def rounds(count: int) -> None:
        for number in range(count):
            try:
                async with TaskGroup() as group:
                    for _ in range(3):
                        group.create_task(asyncio.sleep(0), name="child")
                    if number % 3 == 0:
                        raise ValueError
                    if number % 3 == 1:
                        group.cancel()
            except parts.ExceptionGroup:
                pass

    async def main() -> None:
        await rounds(60)
        gc.collect()
        before = sys.getallocatedblocks()
        await rounds(600)
        gc.collect()
        assert sys.getallocatedblocks() - before < 600  # fewer than one a group

    run(main())


WRONG = [lambda g: g.create_task(), lambda g: g.create_task(1, 2), lambda g: g.create_task(1, coro=2)]


@pytest.mark.skipif(sys.version_info < (3, 11), reason="asyncio has no TaskGroup there")
@pytest.mark.parametrize("call", WRONG, ids=["none", "two", "twice"])
def test_wrong_arguments(call: Any) -> None:
    """They are refused in the words of asyncio's own."""

    async def refusal(make: Any) -> str:
        async with make() as group:
            with pytest.raises(TypeError) as caught:
                call(group)
            return str(caught.value)

    assert asyncio.run(refusal(TaskGroup)) == asyncio.run(refusal(asyncio.TaskGroup))
