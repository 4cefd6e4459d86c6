"""What it costs to begin: a loop for one coroutine, a process for one program."""

from .. import Target, Workload

WORKLOADS = [
    Workload("run_empty", "run(empty())", 200, Target(1, "asyncio"), kind="runs"),
    Workload(
        "process",
        "a process that does nothing",
        5,
        None,
        kind="startup",
        contenders=("asyncio", "fenshen (installed)"),
    ),
]
