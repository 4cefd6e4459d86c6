"""`fenshen run`: run a program as `__main__`, exactly as `python` would.

The program gets an interpreter of its own: this process becomes `python -X fenshen=... script.py args`, and the
start-up hook installs us in it. So every frame, exit status, flag and byte on stderr is CPython's own. Where that
cannot be (no hook for this interpreter, a debugger or a profiler at work, called from a running program), the program
is run right here, in the manner of `python -m`.
"""

from __future__ import annotations

import os
import sys

from fenshen import _engine, _hook

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import CodeType, ModuleType, TracebackType
    from typing import Any, NoReturn

# What the console script left as __main__; it still has to finish.
_before: list[ModuleType] = []


def run(text: str, flags: list[str], target: list[str], *, own_process: bool) -> NoReturn:
    """Run the program that `target` names ([script, *args], ["-m", module, *args], ["-c", code, *args] or []) and end
    this process as it ends.

    `text` is what to install (see `_options`), `flags` are interpreter options for the program; `own_process` tells
    whether this process is the command `fenshen` and nothing else, and so may be replaced.
    """
    if _engine.told_stdlib():
        text += ",child"  # FENSHEN=1 has told it already, in the launcher
    command = _interpreter() if own_process and os.name == "posix" else None
    if command is not None and not _observed():
        if _hook.present():
            _replace([*command, *flags, "-X", f"fenshen={text}", *target])
        if flags:
            option = _options_of(text)
            _replace([*command, *flags, "-m", "fenshen", "run", *option, *target])
    from fenshen import installing

    installing.begin(text)
    _run_here(target)


def _replace(command: list[str]) -> None:
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.flush()
    try:
        os.execv(command[0], command)
    except OSError:
        return  # an interpreter that cannot be started again: the program is run here


def _options_of(text: str) -> list[str]:
    return [f"--{word}" for word in text.split(",") if word not in ("1", "child")]


def _observed() -> bool:
    """Whether a debugger, profiler or coverage tool watches this interpreter and would lose sight of a new one."""
    if sys.gettrace() is not None or sys.getprofile() is not None:
        return True
    tools = getattr(sys, "monitoring", None)
    return tools is not None and any(tools.get_tool(i) for i in range(6))


def _interpreter() -> list[str] | None:
    """The interpreter and the flags it was started with, up to `-m fenshen` or our console script; None if they
    cannot be told.
    """
    arguments = sys.argv[1:]
    head = sys.orig_argv[: len(sys.orig_argv) - len(arguments)]
    if not sys.executable or sys.argv[0] == "-c" or head + arguments != sys.orig_argv or len(head) < 2:
        return None
    flags, last = head[1:-1], head[-1]
    module = next((last[: -len(name)] for name in ("fenshen.__main__", "fenshen") if last.endswith(name)), None)
    if module is not None and module.startswith("-") and module.endswith("m"):
        flags.append(module[:-1])  # -mfenshen, -Imfenshen
    elif module == "" and flags and flags[-1].startswith("-") and flags[-1].endswith("m"):
        flags[-1] = flags[-1][:-1]  # -m fenshen, -Im fenshen
    return [sys.executable, *(flag for flag in flags if flag != "-")]


def _run_here(target: list[str]) -> NoReturn:
    import types

    main = types.ModuleType("__main__")
    main.__dict__.update(__builtins__=sys.modules["builtins"])
    if sys.version_info < (3, 14):
        main.__dict__.update(__annotations__={})
    _before.append(sys.modules["__main__"])
    sys.modules["__main__"] = main
    kind = target[0] if target else "-"
    try:
        if kind == "-m":
            _module(target)
        elif kind == "-c":
            _path_first("")
            sys.argv = ["-c", *target[2:]]
            exec(_compiled(target[1], "<string>"), main.__dict__)
        elif kind == "-":
            _stdin(target, main)
        else:
            _script(target, main)
    except SystemExit:
        raise
    except BaseException as e:
        _without_our_frames(e)
        raise
    raise SystemExit(0)


def _compiled(source: str | bytes, name: str) -> CodeType:
    # Our own `from __future__` is not the program's.
    return compile(source, name, "exec", dont_inherit=True)


def _path_first(entry: str) -> None:
    """Give sys.path the first entry that python would; ours, the console script's folder or the current one, goes."""
    if not getattr(sys.flags, "safe_path", False) and not sys.flags.isolated:
        sys.path[:1] = [entry]


def _module(target: list[str]) -> None:
    import runpy

    _path_first(os.getcwd())
    sys.argv = ["-m", *target[2:]]
    runpy._run_module_as_main(target[1])  # type: ignore[attr-defined]


def _stdin(target: list[str], main: ModuleType) -> None:
    _path_first("")
    sys.argv = [*target] or [""]
    if sys.stdin.isatty():
        import code

        code.interact(local=main.__dict__, exitmsg="")
    else:
        exec(_compiled(sys.stdin.read(), "<stdin>"), main.__dict__)


def _script(target: list[str], main: ModuleType) -> None:
    import importlib.machinery
    import pkgutil
    import runpy

    path = os.path.join(os.getcwd(), target[0])
    sys.argv = list(target)
    if pkgutil.get_importer(path) is not None:  # a folder or a zip file with a __main__.py
        sys.path.insert(0, path) if sys.flags.isolated else _path_first(path)
        runpy._run_module_as_main("__main__", False)  # type: ignore[attr-defined]
        return
    _path_first(os.path.dirname(os.path.realpath(path)))
    compiled = path.endswith(".pyc")
    kind: Any = importlib.machinery.SourcelessFileLoader if compiled else importlib.machinery.SourceFileLoader
    main.__dict__.update(__file__=path, __cached__=None, __loader__=kind("__main__", path))
    try:
        with open(path, "rb") as file:
            code = pkgutil.read_code(file) if compiled else None
            source = b"" if compiled else file.read()
    except OSError as e:
        sys.stderr.write(f"{sys.executable}: can't open file {path!r}: [Errno {e.errno}] {e.strerror}\n")
        raise SystemExit(2) from None
    exec(code or _compiled(source, path), main.__dict__)


def _without_our_frames(error: BaseException) -> None:
    """Leave the traceback as the program made it: for the hook that prints it, and for whoever looks at it after
    that.
    """
    trace = _program_part(error.__traceback__)
    hook = sys.excepthook

    def excepthook(kind: type[BaseException], value: BaseException, _: TracebackType | None) -> None:
        sys.excepthook = hook
        sys.last_traceback = trace
        hook(kind, value.with_traceback(trace), trace)

    sys.excepthook = excepthook


def _program_part(trace: TracebackType | None) -> TracebackType | None:
    while trace is not None and trace.tb_frame.f_globals is globals():
        trace = trace.tb_next
    return trace
