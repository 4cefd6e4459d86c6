"""numpy arrays as arguments and results. Each pass changes the array first, and looks whether the worker saw that."""

from typing import Any

from benchmarks.tasks import first, same

from .. import Program, Target, Workload

MB = 1_000_000
ONE_METHOD = (
    *("stdlib fork", "stdlib Pool", "loky", "joblib", "pebble", "mpire", "Ray", "Dask"),
    *("fenshen", "fenshen Pool", "fenshen (installed)"),
)


def passed(size: int, back: bool = False) -> Program:
    """An operation is an array of so many bytes that a worker reads one number of, or that it gives back."""

    def program(pool: Any, operations: int) -> None:
        import numpy

        array = numpy.ones(size // 8)
        for number in range(operations):
            array[0] = number
            found = pool.one(same, array)[0] if back else pool.one(first, array)
            assert found == number, f"the worker saw an older array: {found} for {number}"

    return program


def workload(name: str, title: str, batch: int, target: Target | None, program: Program) -> Workload:
    return Workload(
        f"processes_array_{name}",
        title,
        batch,
        target,
        program,
        kind="pool",
        unit="arrays",
        contenders=ONE_METHOD,
        everywhere=True,
    )


WORKLOADS = [
    workload("100mb", "array of 100 MB to a worker", 3, Target(12, "stdlib fork"), passed(100 * MB)),
    workload("100mb_back", "array of 100 MB to a worker and back", 3, None, passed(100 * MB, back=True)),
    workload("1mb", "array of 1 MB to a worker", 20, None, passed(MB)),
    workload("1mb_back", "array of 1 MB to a worker and back", 20, None, passed(MB, back=True)),
]
