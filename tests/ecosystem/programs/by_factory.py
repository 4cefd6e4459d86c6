"""python by_factory.py PROGRAM ...: runs the program's `main` on `loop_factory=fenshen.new_event_loop`."""

import asyncio
import os
import runpy
import sys

import fenshen

del sys.argv[0]
sys.path[0] = os.path.dirname(sys.argv[0])
main = runpy.run_path(sys.argv[0])["main"]
Runner = getattr(asyncio, "Runner", fenshen.Runner)  # Python 3.10 has none
with Runner(loop_factory=fenshen.new_event_loop) as runner:
    runner.run(main())
