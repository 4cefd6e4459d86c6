"""What is measured of loops, one file a group: the same program text on every loop.

A program is `async def program(operations)`; it runs on the loop under test until it has done that many operations. It
names asyncio's things through the module (`asyncio.Queue`), as programs do, so that what `fenshen.install()` puts there
is what it gets. A server is `async def serve(folder)`, an asynchronous context manager that gives the address it
serves at; the load comes from another process.
"""

GROUPS = ("tasks", "callbacks", "timers", "primitives", "startup", "echo", "connections", "subprocesses")
