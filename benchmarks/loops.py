"""The loops that are measured, and how each comes to serve a program."""

import asyncio
import importlib
import importlib.metadata
import importlib.util
from collections.abc import Callable
from typing import NamedTuple

LoopFactory = Callable[[], asyncio.AbstractEventLoop]


class Loop(NamedTuple):
    """One contender: its name, the module it comes from, and whether `fenshen.install()` runs first."""

    name: str
    module: str
    installed: bool = False

    def available(self) -> bool:
        """Whether it can be imported here."""
        return importlib.util.find_spec(self.module) is not None

    def version(self) -> str:
        """The version of the package it comes from; none for asyncio, whose version is the interpreter's."""
        return "" if self.module == "asyncio" else importlib.metadata.version(self.module)

    def package(self) -> str:
        return self.module

    def factory(self) -> LoopFactory:
        """What makes a loop; called in the process that measures, after which the loop is set up."""
        module = importlib.import_module(self.module)
        if self.installed:
            module.install()
            return asyncio.new_event_loop
        factory: LoopFactory = module.new_event_loop
        return factory


LOOPS = {
    loop.name: loop
    for loop in (
        Loop("asyncio", "asyncio"),
        Loop("uvloop", "uvloop"),
        Loop("rloop", "rloop"),
        Loop("fenshen", "fenshen"),
        Loop("fenshen (installed)", "fenshen", installed=True),
    )
}
