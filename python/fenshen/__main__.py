"""The command line: `fenshen run ...`, `fenshen doctor`, `fenshen --version`; also `python -m fenshen ...`."""

from __future__ import annotations

import sys


def _plain(words: list[str]) -> bool:
    """Whether the program comes first, with no options to parse before it, so that nothing needs to be imported
    for that.
    """
    if len(words) > 1 and words[0] in ("-m", "-c"):
        return True
    return bool(words) and (words[0] == "-" or words[0][:1] != "-")


def main(arguments: list[str] | None = None) -> int:
    """Do what `arguments` say (default: those of this process) and return the exit status; `run` ends the process
    as the program ends.
    """
    own_process = arguments is None
    words = sys.argv[1:] if arguments is None else arguments
    if words[:1] == ["run"] and _plain(words[1:]):
        from fenshen.running import run

        run("1", [], words[1:], own_process=own_process)
    from fenshen.command import command

    return command(words, own_process=own_process)


if __name__ == "__main__":
    sys.exit(main())
