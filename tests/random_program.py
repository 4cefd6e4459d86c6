"""Random programs of tasks, futures and callbacks, and the trace of what they did, in order.

A program draws its next action from one seeded source, so two loops that run things in the same order draw the same
actions; the first difference in order shows in the trace. No time passes in it: every timer is due at once, and
deadlines order them.
"""

from __future__ import annotations

import asyncio
import contextvars
import random
import sys
from typing import Any

from twins import Side, plain

variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="-")


class Program:
    """One program on one loop; `trace` is what happened."""

    def __init__(self, side: Side, loop: Any, seed: int, primitives: Any) -> None:
        self.side, self.loop = side, loop
        self.random = random.Random(seed)
        self.trace: list[str] = []
        self.tasks: list[Any] = []
        self.futures: list[Any] = []
        self.handles: list[Any] = []
        self.names: dict[int, str] = {}
        self.left = 120
        self.past = loop.time() - 1000.0
        self.lock, self.queue, self.event = primitives.Lock(), primitives.Queue(2), primitives.Event()
        self.semaphore, self.condition = primitives.Semaphore(2), primitives.Condition()
        loop.set_exception_handler(self.told)

    def note(self, what: str) -> None:
        current = asyncio.current_task(self.loop) if self.loop.is_running() else None
        self.trace.append(f"{self.names.get(id(current), '.')} {variable.get()}: {what}")

    def told(self, loop: Any, context: dict[str, Any]) -> None:
        # What is told when something is destroyed depends on when the collector comes by.
        if context["message"].startswith("Exception in callback"):
            self.trace.append(f"told {plain(context.get('exception'))}")

    def name(self, thing: Any, kind: str) -> Any:
        """Gives it a name for the trace; whatever has a name is kept, so that no other gets its address."""
        self.names[id(thing)] = f"{kind}{len(self.names)}"
        return thing

    # -- Making things ------------------------------------------------------------------------------------------------

    def new_future(self) -> Any:
        future = self.name(self.loop.create_future(), "f")
        self.futures.append(future)
        return future

    def new_task(self, depth: int) -> Any:
        context = contextvars.copy_context() if self.random.random() < 0.2 else None
        if context is not None and sys.version_info >= (3, 11):
            context.run(variable.set, f"c{len(self.names)}")
            task = self.loop.create_task(self.body(depth), context=context)
        elif self.random.random() < 0.3:
            task = self.side.Task(self.body(depth), loop=self.loop)
        else:
            task = asyncio.ensure_future(self.body(depth), loop=self.loop)
        self.tasks.append(self.name(task, "t"))
        self.note(f"makes {self.names[id(task)]}")
        return task

    def some(self) -> Any:
        """A future or task."""
        things = self.futures[-6:] + self.tasks[-6:]
        return self.random.choice(things) if things else self.new_future()

    def callback(self, *args: Any) -> None:
        of = [self.names.get(id(a), plain_kind(a)) for a in args]
        self.note(f"called {of}")
        if self.left > 0 and self.random.random() < 0.5:
            self.act(0)
        if self.random.random() < 0.05:
            raise LookupError("callback")

    def older(self) -> Any:
        """A future, or a task made before the present one: so no tasks wait for each other in a circle."""
        me = asyncio.current_task()
        before = self.tasks.index(me) if me in self.tasks else 0
        things = self.futures[-6:] + self.tasks[:before][-6:]
        return self.random.choice(things) if things else self.new_future()

    # -- Acting -------------------------------------------------------------------------------------------------------

    def act(self, depth: int) -> None:
        """Something that doesn't wait."""
        self.left -= 1
        choice = self.random.randrange(13)
        if choice == 0:
            self.new_future()
        elif choice == 1 and depth < 4:
            self.new_task(depth + 1)
        elif choice == 2:
            self.loop.call_soon(self.callback, len(self.trace))
        elif choice == 3:
            when = self.past - self.random.random()
            self.handles.append(self.loop.call_at(when, self.callback, len(self.trace)))
        elif choice == 4:
            self.handles.append(self.loop.call_soon(self.callback, len(self.trace)))
        elif choice == 5 and self.handles:
            self.random.choice(self.handles).cancel()
        elif choice == 6:
            self.loop.call_soon_threadsafe(self.callback, len(self.trace))
        elif choice == 7:
            self.note(f"cancels {self.some().cancel(self.random.choice([None, 'm']))}")
        elif choice == 8:
            self.some().add_done_callback(self.callback)
        elif choice == 9:
            self.note(f"removes {self.some().remove_done_callback(self.callback)}")
        elif choice == 10:
            self.event.set() if self.random.random() < 0.7 else self.event.clear()
        else:
            self.end()

    def end(self) -> None:
        """Ends a future, if one is pending."""
        pending = [f for f in self.futures if not f.done()]
        if pending:
            future = self.random.choice(pending)
            if self.random.random() < 0.7:
                future.set_result(len(self.trace))
            else:
                future.set_exception(ValueError(len(self.trace)))
            self.note(f"ends {self.names[id(future)]}")

    async def wait(self, depth: int) -> Any:
        """Something that may wait."""
        self.left -= 1
        choice = self.random.randrange(12)
        if choice <= 2:
            return await asyncio.sleep(0, "slept")
        if choice == 3:
            return await self.older()
        if choice == 4:
            many = [self.older() for _ in range(self.random.randrange(4))]
            return await asyncio.gather(*many, return_exceptions=self.random.random() < 0.5)
        if choice == 5:
            when = self.random.choice(["FIRST_COMPLETED", "FIRST_EXCEPTION", "ALL_COMPLETED"])
            done, pending = await asyncio.wait({self.older() for _ in range(3)}, return_when=when)
            return sorted(self.names[id(f)] for f in done), len(pending)
        if choice == 6:
            return await asyncio.shield(self.older())
        if choice == 7:
            return await asyncio.wait_for(self.older(), self.random.choice([None, 0, -1]))
        if choice == 8 and depth < 3:
            return await self.body(depth + 1)
        return await self.wait_on_primitive()

    async def wait_on_primitive(self) -> Any:
        choice = self.random.randrange(6)
        if choice == 0:
            async with self.lock:
                return await asyncio.sleep(0, "locked")
        if choice == 1:
            return await self.queue.put(len(self.trace))
        if choice == 2:
            return await self.queue.get()
        if choice == 3:
            return await self.event.wait()
        if choice == 4:
            async with self.semaphore:
                return await asyncio.sleep(0, "in")
        async with self.condition:
            self.condition.notify(2)
            return await self.condition.wait() if self.random.random() < 0.5 else "notified"

    async def body(self, depth: int) -> str:
        me = asyncio.current_task()
        for _ in range(self.random.randrange(1, 7)):
            if self.left <= 0:
                break
            if self.random.random() < 0.4:
                self.act(depth)
                continue
            variable.set(f"v{self.random.randrange(5)}")
            try:
                self.note(f"got {await self.wait(depth)!r}")
            except asyncio.CancelledError as e:
                self.note(f"cancelled {e.args}")
                if sys.version_info >= (3, 11) and self.random.random() < 0.5 and me is not None:
                    self.note(f"uncancels {me.cancelling()} {me.uncancel()}")
                elif self.random.random() < 0.5:
                    raise
            except Exception as e:
                self.note(f"failed {plain(e)}")
                if self.random.random() < 0.4:
                    raise
        self.note("ends")
        return f"depth {depth}"

    # -- The whole ----------------------------------------------------------------------------------------------------

    async def main(self) -> None:
        for _ in range(3):
            self.new_future()
        for _ in range(5):
            self.new_task(0)
        for _ in range(60):
            await asyncio.sleep(0)
            if self.random.random() < 0.3:
                self.end()
        for _ in range(300):
            left = [t for t in [*self.tasks, *self.futures] if not t.done()]
            if not left:
                break
            for thing in left:
                thing.cancel()
            await asyncio.sleep(0)
        for thing in [*self.tasks, *self.futures]:
            ended = "pending" if not thing.done() else "cancelled" if thing.cancelled() else plain(thing.exception())
            self.note(f"{self.names[id(thing)]} {ended}")


def plain_kind(value: Any) -> str:
    """How an argument shows in the trace."""
    return str(value) if isinstance(value, int) else type(value).__name__


def run(side: Side, seed: int, primitives: Any = asyncio) -> list[str]:
    """The trace of program number `seed` on a new loop of `side`, with the queues and locks of a module."""
    loop = side.new_loop()
    try:

        async def main() -> Program:
            program = Program(side, loop, seed, primitives)
            await program.main()
            return program

        return loop.run_until_complete(main()).trace
    finally:
        loop.close()
