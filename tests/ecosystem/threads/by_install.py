"""by_install.py PROGRAM [ARGUMENT ...]: run the program as the main module of a process that called `install()`."""

import sys
from pathlib import Path

import fenshen

fenshen.install()
del sys.argv[0]
__file__, sys.path[0] = sys.argv[0], str(Path(sys.argv[0]).parent)
exec(compile(Path(__file__).read_text(), __file__, "exec"))
