"""What is run: each project's version, what its tests need, and which of them speak of a loop, threads or processes."""

from __future__ import annotations

from dataclasses import dataclass

# What runs them: a crash or a test that never ends costs one worker of xdist's, and the rest goes on.
RUNNER = ("pytest==9.2.0", "pytest-xdist==3.8.0", "pytest-timeout==2.4.0")


@dataclass(frozen=True)
class Suite:
    """One project's tests."""

    name: str
    version: str
    needs: tuple[str, ...]
    """What pip installs beside the project itself."""
    own: str
    """Its package's folder in the source distribution, taken away: the installed one is tested."""
    processes: int
    """How many at a time; one where tests claim a port before they bind it."""
    options: tuple[str, ...] = ()
    """For pytest."""
    left_out: tuple[str, ...] = ()
    """Files whose tests say the same whatever is put in."""
    tests: str = "tests"
    """The folder with the tests."""
    threads: bool = False
    """Whether ours are the locks, queues and pools too, and not only the loop."""
    shared: bool = False
    """Whether ours is what processes share and are pooled by as well."""
    project: str = ""
    """Its name for pip, where the suite is a part of it."""

    @property
    def requirement(self) -> str:
        """What pip is asked for."""
        return f"{self.project or self.name}=={self.version}"


UVLOOP = Suite(
    "uvloop",
    "0.23.0",
    needs=("aiohttp==3.14.5", "psutil==7.2.2", "pyOpenSSL==26.4.0"),
    own="uvloop",
    processes=1,
    options=("-o", "addopts=--import-mode=importlib --tb=native"),
    left_out=("test_sourcecode.py", "test_cython.py", "test_libuv_api.py", "test_testbase.py"),
)
AIOHTTP = Suite(
    "aiohttp",
    "3.14.5",
    needs=(
        "blockbuster==1.5.29",
        "brotli==1.2.1",
        "coverage==7.17.3",
        "freezegun==1.5.5",
        "gunicorn==27.0.1",
        "isal==1.9.1; python_version < '3.14'",
        "proxy.py==2.4.10",
        "pytest-cov==7.1.0",
        "pytest-mock==3.17.0",
        "re-assert==1.1.0",
        "trustme==1.2.1",
        "zlib-ng==1.1.0",
    ),
    own="aiohttp",
    processes=2,
    options=("-o", "addopts=--strict-markers --tb=short", "-m", "not dev_mode and not autobahn and not internal"),
    left_out=("test_benchmarks_*.py", "autobahn", "test_circular_imports.py", "test_imports.py"),
)
ANYIO = Suite(
    "anyio",
    "4.16.0",
    needs=(
        "blockbuster==1.5.29",
        "hypothesis==6.170.15",
        "psutil==7.2.2",
        "pytest-mock==3.17.0",
        "trustme==1.2.1",
        "truststore==0.10.5",
        "uvloop==0.23.0",
    ),
    own="src",
    processes=2,
)
# What follows is made of threads.
ASYNC = "pytest-asyncio==1.4.0"
JANUS = Suite(
    "janus",
    "2.0.0",
    needs=(ASYNC, "pytest-cov==7.1.0"),
    own="janus",
    processes=2,
    left_out=("test_benchmarks.py",),
    threads=True,
)
CULSANS = Suite("culsans", "0.11.0", needs=("anyio==4.16.0", ASYNC), own="src", processes=2, threads=True)
AIOLOGIC = Suite("aiologic", "0.17.1", needs=("anyio==4.16.0", ASYNC), own="src", processes=2, threads=True)
CACHETOOLS = Suite("cachetools", "8.0.0", needs=(), own="src", processes=2, threads=True)
APSCHEDULER = Suite(
    "apscheduler",
    "3.11.3",
    needs=("anyio==4.16.0", "pytz", "tornado", "sqlalchemy"),
    own="src",
    processes=2,
    options=("-m", "not external_service"),
    threads=True,
)
TENACITY = Suite("tenacity", "9.2.1", needs=("tornado", "typeguard"), own="tenacity", processes=2, threads=True)
WAITRESS = Suite("waitress", "3.0.2", needs=("pytest-cov==7.1.0",), own="src", processes=2, threads=True)
PEBBLE = Suite(
    "pebble",
    "5.2.3",
    needs=(),
    own="pebble",
    processes=2,
    left_out=("test_*process*.py",),
    tests="test",
    threads=True,
)
OF_THREADS = (JANUS, CULSANS, AIOLOGIC, CACHETOOLS, APSCHEDULER, TENACITY, WAITRESS, PEBBLE)
# What follows is made of processes. Pebble's choose a start method for the process that loads them: one file at a time.
PEBBLE_PROCESSES = tuple(
    Suite(
        f"pebble-{part}-{method}",
        "5.2.3",
        needs=(),
        own="pebble",
        processes=1,
        tests=f"test/test_{part}_{method}.py",
        threads=True,
        shared=True,
        project="pebble",
    )
    for part in ("process_pool", "concurrent_process", "asynchronous_process")
    for method in ("fork", "forkserver", "spawn")
)
LOKY = Suite(
    "loky",
    "3.7.0",
    needs=("cloudpickle==3.1.2", "numpy", "psutil==7.2.2"),
    own="loky",
    processes=2,
    options=("-o", "addopts="),
    threads=True,
    shared=True,
)
JOBLIB = Suite(
    "joblib",
    "1.6.0",
    needs=("numpy", "psutil==7.2.2", "threadpoolctl"),
    own="",  # its tests are in the package
    processes=2,
    options=("-o", "addopts=", "--import-mode=prepend"),
    left_out=("test_numpy_pickle*.py", "test_hashing.py", "test_func_inspect*.py", "test_missing_multiprocessing.py"),
    tests="joblib/test",
    threads=True,
    shared=True,
)
BILLIARD = Suite(
    "billiard",
    "4.3.2",
    needs=("psutil==7.2.2",),
    own="billiard",
    processes=2,
    left_out=("integration",),  # of Python 2
    tests="t",
    threads=True,
    shared=True,
)
AIOMULTIPROCESS = Suite(
    "aiomultiprocess",
    "0.9.1",
    needs=(),
    own="",
    processes=2,
    options=("-o", "python_files=*.py"),
    left_out=("perf.py", "__main__.py", "__init__.py"),
    tests="aiomultiprocess/tests",
    threads=True,
    shared=True,
)
OF_PROCESSES = (*PEBBLE_PROCESSES, LOKY, JOBLIB, BILLIARD, AIOMULTIPROCESS)
SUITES = {suite.name: suite for suite in (UVLOOP, AIOHTTP, ANYIO, *OF_THREADS, *OF_PROCESSES)}
