"""`install` and `uninstall`, and what they leave behind."""

from __future__ import annotations

import sys
from pathlib import Path

import fenshen
import pytest
from commands import PYTHON, RUN, Outcome, needs_native, run
from fenshen import parts

pytestmark = needs_native


def python(text: str, folder: Path, *flags: str, **env: str) -> Outcome:
    (folder / "program.py").write_text(text)
    return run([*PYTHON, *flags, "program.py"], cwd=folder, **env)


SNAPSHOTS = """if 1:
    import sys, asyncio, multiprocessing.spawn, multiprocessing.util, fenshen.loop, fenshen.children, fenshen._adapters
    import fenshen.installing

    def snapshot():
        names = [n for n in sys.modules if n.startswith(("asyncio", "_asyncio", "multiprocessing"))]
        spaces = {n: list(vars(sys.modules[n]).items()) for n in names}
        for module, space in list(spaces.items()):
            for key, value in space:
                if isinstance(value, type):
                    spaces[module, key] = list(vars(value).items())
        return spaces, list(sys.meta_path)

    def same(a, b):
        return a.keys() == b.keys() and all(
            len(a[k]) == len(b[k]) and all(x is y and n == m for (n, x), (m, y) in zip(a[k], b[k])) for k in a)
"""


def test_uninstall_undoes_exactly_what_install_did(tmp_path: Path) -> None:
    ours = python(
        SNAPSHOTS
        + """
    before, finders = snapshot()
    fenshen.install()
    during, _ = snapshot()
    print(sorted(k for k in before if isinstance(k, str) and not same({k: before[k]}, {k: during[k]})))
    fenshen.install()
    print(same(during, snapshot()[0]))
    fenshen.uninstall()
    after, finders_after = snapshot()
    print(same(before, after), finders == finders_after)
    fenshen.uninstall()
    print(same(before, snapshot()[0]))
    """,
        tmp_path,
    )
    assert ours.err == ""
    changed, twice, undone, again = ours.out.splitlines()
    assert "'asyncio'" in changed
    assert "'asyncio.tasks'" in changed
    assert (twice, undone, again) == ("True", "True True", "True")


def test_groups_are_separate(tmp_path: Path) -> None:
    ours = python(
        SNAPSHOTS
        + """
    from fenshen._options import current
    before, _ = snapshot()
    fenshen.install(loop=False)
    print(current.to_text(), same({"asyncio": before["asyncio"]}, {"asyncio": snapshot()[0]["asyncio"]}))
    fenshen.install(threads=False, processes=False, deadlock="report")
    print(current.to_text(), asyncio.Task.__module__)
    fenshen.uninstall(threads=False, processes=False)
    print(current.to_text(), asyncio.Task.__module__)
    fenshen.uninstall()
    print(current.any(), current.deadlock, same(before, snapshot()[0]))
    """,
        tmp_path,
    )
    assert ours == (
        0,
        "no-loop,no-blocked,deadlock=off True\nno-blocked,deadlock=report fenshen._fenshen\n"
        "no-loop,no-blocked,deadlock=report _asyncio\nFalse off True\n",
        "",
    )


def test_a_wrong_deadlock_is_refused() -> None:
    with pytest.raises(ValueError, match="deadlock must be one of 'off', 'report', 'raise', not 'loud'"):
        fenshen.install(deadlock="loud")
    assert not fenshen.installing.current.any()  # type: ignore[attr-defined]


def test_what_others_put_over_ours_stays(tmp_path: Path) -> None:
    ours = python(
        """if 1:
        import asyncio, fenshen
        fenshen.install()
        class Mine(asyncio.Task): pass
        asyncio.Task = Mine
        fenshen.uninstall()
        print(asyncio.Task is Mine, asyncio.tasks.Task.__module__)""",
        tmp_path,
    )
    assert ours == (0, "True _asyncio\n", "")


def test_names_taken_before_are_left_and_listed_once(tmp_path: Path) -> None:
    (tmp_path / "helper.py").write_text(
        "from asyncio import Task as T, Future, sleep as doze\nfrom asyncio.tasks import Task"
    )
    (tmp_path / "other.py").write_text("import asyncio")
    ours = python(
        """if 1:
        import fenshen, helper, other
        from asyncio import Future
        fenshen.install(); line = 4
        fenshen.uninstall()
        fenshen.install()
        print(helper.T.__module__, Future.__module__)""",
        tmp_path,
    )
    assert (ours.status, ours.out) == (0, "_asyncio _asyncio\n")
    first, *rest = ours.err.splitlines()
    assert ":4: RuntimeWarning: fenshen: these modules took names" in first
    assert "__main__ (Future), helper (Future, Task, sleep); install first" in first
    assert "other" not in first.partition("RuntimeWarning")[2]
    assert len(rest) == 1


def test_the_warning_can_be_an_error_or_silent(tmp_path: Path) -> None:
    text = "from asyncio import Future\nimport fenshen\nfenshen.install()\n"
    assert python(text, tmp_path, "-W", "error").err.endswith("or use `fenshen run`\n")
    assert python(text, tmp_path, FENSHEN_QUIET="1") == (0, "", "")


def test_installed_before_asyncio_is_imported(tmp_path: Path) -> None:
    ours = python(
        """if 1:
        import fenshen
        fenshen.install()
        from asyncio import Task, run, get_running_loop
        import asyncio
        async def main(): return type(get_running_loop()).__module__
        print(Task.__module__, run(main()), vars(asyncio.__spec__.loader).get("exec_module"))""",
        tmp_path,
    )
    assert ours == (0, "fenshen._fenshen fenshen.loop None\n", "")


def test_what_ours_import_is_installed_too(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(
        "import fenshen._fenshen\n"
        "from concurrent.futures import ThreadPoolExecutor\n"
        "from queue import Queue\n"
        "print(ThreadPoolExecutor.__module__, Queue.__module__)\n"
    )
    ended = run([*RUN, "program.py"], cwd=tmp_path)
    assert ended == Outcome(0, "fenshen._thread_executor fenshen._threads\n", "")


def test_live_objects_survive_uninstall(tmp_path: Path) -> None:
    ours = python(
        """if 1:
        import asyncio, fenshen
        async def worker(queue, lock, event):
            async with lock:
                value = await queue.get()
            await event.wait()
            return value
        async def main():
            queue, lock, event = asyncio.Queue(), asyncio.Lock(), asyncio.Event()
            tasks = [asyncio.create_task(worker(queue, lock, event)) for _ in range(3)]
            await asyncio.sleep(0)
            fenshen.uninstall()
            tasks += [asyncio.create_task(worker(queue, lock, event)) for _ in range(3)]
            others = asyncio.Queue(), asyncio.Lock()
            for n in range(6):
                await queue.put(n)
                await others[0].put(n)
            event.set()
            async with others[1]:
                print(sorted(await asyncio.gather(*tasks)), others[0].qsize())
        fenshen.install()
        loop = asyncio.new_event_loop()
        print(loop.run_until_complete(main()))
        loop.close()
        async def last(): return type(asyncio.get_running_loop()).__module__
        print(asyncio.run(last()))""",
        tmp_path,
    )
    assert ours == (0, "[0, 1, 2, 3, 4, 5] 6\nNone\nasyncio.unix_events\n", "")


MIXED = """if 1:
    import asyncio, fenshen, {order}
    names = ["Queue", "Lock", "Event", "Condition", "Semaphore", "Future", "Task"]
    standard = [getattr(asyncio, name) for name in names]
    fenshen.install()
    ours = [getattr(asyncio, name) for name in names]
    async def give(future, queue):
        await asyncio.sleep(0)
        future.set_result(1)
        await queue.put(2)
    async def main(kinds, task):
        Queue, Lock, Event, Condition, Semaphore, Future, _ = kinds
        queue, future = Queue(), Future()
        other = task(give(future, queue), loop=asyncio.get_running_loop())
        async with Lock(), Semaphore(2), Condition():
            return await asyncio.wait_for(asyncio.gather(future, queue.get(), other), 5)
    for loop_class in (asyncio.SelectorEventLoop, fenshen.EventLoop):
        for kinds in (standard, ours):
            for task in (standard[-1], ours[-1]):
                loop = loop_class()
                asyncio.set_event_loop(loop)
                assert loop.run_until_complete(task(main(kinds, task), loop=loop)) == [1, 2, None]
                loop.close()
    print("done")
"""


def test_ours_and_the_standard_objects_work_mixed_on_both_loops(tmp_path: Path) -> None:
    assert python(MIXED.format(order="fenshen.loop"), tmp_path, FENSHEN_QUIET="1") == (0, "done\n", "")


LOOPS = """if 1:
    import asyncio, threading, warnings
    import fenshen
    fenshen.install()
    def kind(loop): return type(loop).__module__
    loop = asyncio.new_event_loop()
    print(kind(loop), loop.is_running())
    asyncio.set_event_loop(loop)
    print(asyncio.get_event_loop() is loop)
    async def inside(): return asyncio.get_event_loop() is asyncio.get_running_loop()
    print(loop.run_until_complete(inside()), asyncio.run(inside()))
    loop.close()
    asyncio.set_event_loop(None)
    def thread():
        try:
            asyncio.get_event_loop()
        except RuntimeError as e:
            print(e)
    t = threading.Thread(target=thread, name="T"); t.start(); t.join()
    with getattr(asyncio, "Runner", fenshen.Runner)() as runner:
        print(kind(runner.get_loop()), runner.run(inside()))
"""


def test_the_current_loop_behaves_as_documented(tmp_path: Path) -> None:
    ours = python(LOOPS, tmp_path, "-W", "error")
    assert ours.err == ""
    assert ours.out.splitlines() == [
        "fenshen.loop False",
        "True",
        "True True",
        "There is no current event loop in thread 'T'.",
        "fenshen.loop True",
    ]


@pytest.mark.skipif(sys.version_info >= (3, 14), reason="there is no policy to speak of")
def test_policies_are_left_as_they_are(tmp_path: Path) -> None:
    ours = python(
        """if 1:
        import asyncio
        class Mine(asyncio.DefaultEventLoopPolicy): pass
        class Own(asyncio.DefaultEventLoopPolicy):
            def new_event_loop(self): return asyncio.SelectorEventLoop()
        def kind():
            loop = asyncio.new_event_loop()
            loop.close()
            return type(loop).__module__
        print(type(asyncio.get_event_loop_policy()) is asyncio.DefaultEventLoopPolicy)
        for policy in (None, Mine(), Own(), None):
            asyncio.set_event_loop_policy(policy)
            print(kind())""",
        tmp_path,
    )
    assert ours.out == "True\n" + "asyncio.unix_events\n" * 4
    ours = run([*RUN, "program.py"], cwd=tmp_path)
    assert ours == (0, "True\nfenshen.loop\nfenshen.loop\nasyncio.unix_events\nfenshen.loop\n", "")


def test_uvicorn_is_given_the_default_loop_where_the_program_asks_for_none(tmp_path: Path) -> None:
    """With modules of uvicorn's names, in the manner of both of its generations."""
    loops = tmp_path / "uvicorn" / "loops"
    loops.mkdir(parents=True)
    for package in (loops, loops.parent):
        (package / "__init__.py").touch()
    (loops / "auto.py").write_text("def auto_loop_factory(use_subprocess=False): 1/0")
    (loops / "asyncio.py").write_text("def asyncio_setup(use_subprocess=False): 1/0")
    ours = python(
        """if 1:
        import asyncio, fenshen, fenshen.asyncio, warnings
        from uvicorn.loops import auto
        warnings.simplefilter("ignore", DeprecationWarning)
        def kind(loop):
            loop.close()
            return type(loop).__module__
        class Own(asyncio.DefaultEventLoopPolicy):
            def new_event_loop(self): return asyncio.SelectorEventLoop()
        fenshen.install()
        from uvicorn.loops.asyncio import asyncio_setup
        asyncio_setup(use_subprocess=True)
        print(kind(auto.auto_loop_factory()()), hasattr(fenshen.asyncio, "auto"))
        asyncio.set_event_loop_policy(Own())
        print(kind(auto.auto_loop_factory(use_subprocess=True)()))
        fenshen.uninstall()
        try:
            auto.auto_loop_factory()
        except ZeroDivisionError:
            print("as it was")""",
        tmp_path,
        FENSHEN_QUIET="1",
    )
    assert ours == (0, "fenshen.loop False\nasyncio.unix_events\nas it was\n", "")


def test_every_row_of_the_table_has_a_home() -> None:
    import asyncio  # noqa: F401

    shown = {part.shown for part in parts.all_parts() if part.shown and part.owner() is not None}
    assert {"asyncio.Task", "asyncio.Future", "asyncio.Queue", "asyncio.new_event_loop"} <= shown


def test_a_row_without_an_object_of_ours_is_left_out(tmp_path: Path) -> None:
    ours = python(
        """if 1:
        import asyncio, fenshen
        from fenshen import parts
        parts.add("loop", "asyncio", "iscoroutine", "fenshen._fenshen:no_such_name")
        parts.add("loop", "asyncio", "no_such_name", "fenshen.loop:EventLoop")
        fenshen.install()
        print(asyncio.iscoroutine.__module__, hasattr(asyncio, "no_such_name"))""",
        tmp_path,
    )
    assert ours == (0, "asyncio.coroutines False\n", "")


@pytest.mark.parametrize("first", ["multiprocessing.shared_memory", "fenshen.multiprocessing.synchronize"])
def test_modules_of_processes_that_import_one_another(tmp_path: Path, first: str) -> None:
    text = f"""if 1:
        import fenshen
        fenshen.install()
        import {first}
        from multiprocessing import resource_tracker, shared_memory, synchronize
        for made in shared_memory.SharedMemory, resource_tracker.register, synchronize.Lock, synchronize.Barrier:
            print(made.__module__.startswith("fenshen."))
    """
    outcome = python(text, tmp_path)
    assert (outcome.out.split(), outcome.err) == (["True"] * 4, "")


@pytest.mark.parametrize(
    "first",
    ["from multiprocessing.pool import ThreadPool", "from concurrent.futures import Future", "import multiprocessing"],
)
def test_executors_wherever_they_are_imported_first(tmp_path: Path, first: str) -> None:
    text = f"""if 1:
        import fenshen
        fenshen.install()
        {first}
        from multiprocessing.pool import Pool
        from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
        for made in Pool, ProcessPoolExecutor, ThreadPoolExecutor:
            print(made.__module__.startswith("fenshen."))
    """
    outcome = python(text, tmp_path)
    assert (outcome.out.split(), outcome.err) == (["True"] * 3, "")
