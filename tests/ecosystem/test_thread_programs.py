"""Programs with threads, of the standard library and of the libraries that people use, on our types."""

from __future__ import annotations

import pytest

from .needs import libraries
from .servers import Server
from .thread_ways import PROGRAMS, Comparison

# The program, what it needs, and some of what it prints.
OF_THE_STANDARD_LIBRARY: dict[str, tuple[str, ...]] = {
    "children": ("24\nTrue True 0\n{\"Command '['sleep', '100']' timed o\"}\n{-9}\n0\n",),
    "executors": ("332833500 [32, 9]\nTrue\n", "1 (of 2) futures unfinished\n", "\n63\n16\n9\n[0, 1, 2, 9, 10] [("),
    "exits": ("daemons: 13\nthe end of main\na late thread\nand the one that it started\na job", "at exit, after the"),
    "http_server": ("480\n", "12 True\nTrue\n404 Not Found\n[[0, 0, 0, 1, 3],", "['MainThread']\n"),
    "locals_of_threads": (
        "('store of t1', 100, 3, False)] 5",
        "[None, None, None, None]\nNone\nTrue True\nann\nbob ann\n",
    ),
    "logging_queue": ("True True\nTrue True\n", "and again\nTrue\nTrue\nTrue True\nTrue\nTrue enough\n"),
    "loops_and_threads": ("4950 4950\nlate, True\n5\nTrue\n2450 True\nTrue\n780 True\n10\n",),
    "own_queues": ("['a', 'b', 'c', 'd'] True\n[(1, 'b'), (1, 'a'), (2, 'x'), (2, 'a')]\n", "[0, 1, 2]\n2000 True\n"),
    "primitives": ("499000 2000\n[200, 200] 0\n", "0000|1111|2222|3333|4444|", "505 True\n1\nTrue True None False\n"),
    "processes": ("29700\n[0, 0]\n40425\n40425\n40425\n190 190\n0\n",),
    "refusals": ("release too often: ValueError: Semaphore released too many times\n", "put_nowait: Full: \n"),
    "selectors_and_threads": ("41541750 1000\n{'reactor'}\nZeroDivisionError('division by zero')\nTrue 20\nFalse\n",),
    "signals": ("join None\nevent was interrupted\n", "1 True True True\n3998000 True\nCtrl-C\nSIGUSR2\nthe end\n"),
    "socketserver_echo": ("3200\n[b'ONE\\n', b'ONE\\n', b'ONE\\n']\nTrue\nTrue\nTrue\n100\n", "3 True\n42 1\n"),
    "sqlite_threads": (
        "{(300,)}\n(44850,)\n(500, 100)\n",
        "100 {'UNIQUE constraint failed: line.id'} [(300,)]\nFalse\n",
    ),
    "thread_pools": ("\n40425 ['begun', 'begun', 'begun']\nPool not running\n1\n", "600 [0, 0]\n", "Namespace(a=1)\n"),
    "timers": ("['a', 'b', 'c'] True\n", "True [0, 1, 2, 3, 4, 5]\nTrue\nFalse\nTrue\nTrue True\n"),
    "worker_pools": ("True True True\n56200 200 0\n56481 200\n800 True\n500 125179\n", "2 True 3\nTrue 0\n"),
}
OF_LIBRARIES: dict[str, tuple[str, ...]] = {
    "anyio_threads": (
        "anyio starlette httpx",
        "True 0 0 ann\n",
        "in r\nr\nout r\n['0AnyIO ', '1AnyIO '] 10 True\n200\n1\n",
    ),
    "apscheduler_jobs": ("apscheduler", "('once', '32', 'None')\n('fails', 'None', ", "False 1\nTrue\n[0, 1, 2]\n"),
    "caches": (
        "cachetools",
        "True 5 True\n",
        "True 20\nTrue CacheInfo(hits=180, misses=20, maxsize=None, currsize=20)\n",
    ),
    "culsans_bridges": ("culsans aiologic", "Queue 19900 True 0\n", "QueueShutDown\n400\n[True, True, True]\nTrue 0\n"),
    "django_threads": ("django urllib3", "1770\n", "(60, 1770) 60 True\n(9, True)\n[13, [1, 2, 4, 8, 16]]\n2340 1\n"),
    "flask_server": ("flask urllib3", "True 11175 {", "{2000}\n[500, 404, 200]\n20\n[b'1', b'2', b'3']\n100 16125\n"),
    "janus_bridges": ("janus", "Queue 44850 44850 True\n", "\nEmpty\nQueueEmpty\n"),
    "joblib_threads": (
        "joblib",
        "499500.0\n[1, 3, 7, 13, 21]\n19900\nLookupError(5)\n",
        "[0, 1, 2]\n",
        "TimeoutError\n",
    ),
    "loguru_lines": ("loguru", "True True 600 6\nTrue True\ncaught LookupError: as asked\n"),
    "pebble_threads": ("pebble", "True 19900\n1275\nZeroDivisionError", "38\nTrue\nCancelledError True\nTrue True\n"),
    "requests_pool": ("requests", "True\n/moved {200: 201, 302: 1}\n500\nTrue\n40\n/fail RetryError\n", "/after\n"),
    "rich_progress": ("rich", "[1, 1, 1, 1] True\n", "45\nTrue {('WARNING', 'line')}\n"),
    "schedule_jobs": ("schedule", "[('each second', 9), ('once', 0)]\n10 ('each second', 0)\nFalse [] None\n"),
    "sqlalchemy_pool": ("sqlalchemy", "True\nTrue 0 0 True 3\n", "waited\nTrue False\nnew\n108\n61\n"),
    "tenacity_retries": ("tenacity", "4950 250\nTrue 3\nLookupError(3) True\nTrue True\n2\n3\n"),
    "tornado_executor": (
        "tornado",
        "True\nLookupError('other_0')\n150 3675\n[1, 2, 4, 8, 16]\nTimeoutError('Timeout')\n",
    ),
    "tqdm_bars": ("tqdm", "249500\n", "[100, 100, 100, 100] 400\n[1, 1, 1, 1]\n", "True\n1\nFalse\n"),
    "trio_threads": ("trio", "40425\n[True, ", "True\n435\n[0, 2, 4, 6]\nDONE\n"),
    "urllib3_pools": (
        "urllib3",
        "True 3 150 3 3\nLifoQueue 3\n",
        "b'/held'\n[b'/waited'] 1\nClosedPoolError\n/slow/15 1\n",
    ),
    "waitress_server": ("waitress urllib3", "True\n8 500\nTrue\nFalse\n1\n"),
    "watchdog_files": ("watchdog", "True\nTrue True\nTrue\nTrue\nFalse\n" * 2, "['a', 'b', 'a']\n[0, 1, 2, 3, 4]\n1\n"),
}
WITH_MORE = {"gevent_patched", "psycopg_threads", "redis_threads"}
PARTS = {"engine", "by_install", "local_server"}


@pytest.mark.parametrize("program", OF_THE_STANDARD_LIBRARY)
def test_standard_library(compare: Comparison, program: str) -> None:
    out = compare(f"{program}.py")
    assert [part for part in OF_THE_STANDARD_LIBRARY[program] if part not in out] == [], out


@pytest.mark.parametrize("program", OF_LIBRARIES)
def test_libraries(compare: Comparison, program: str) -> None:
    needed, *said = OF_LIBRARIES[program]
    libraries(*needed.split())
    out = compare(f"{program}.py")
    assert [part for part in said if part not in out] == [], out


@pytest.mark.needs("gevent")
def test_gevent_keeps_its_own(compare: Comparison) -> None:
    says = "fenshen: this program patches its threads by gevent; fenshen's locks, queues and pools are not in use\n"
    out = compare("gevent_patched.py", types="stdlib", says=says)
    assert out == "4950\n3\n4950\nFalse\nTrue\nTrue\n780\n5 32\n"


@pytest.mark.needs("psycopg", "psycopg_pool")
def test_psycopg_pool(compare: Comparison, postgres: Server) -> None:
    out = compare("psycopg_threads.py", postgres.url)
    assert "True\n300 True 0\n(100,)\n" in out
    assert "TooManyRequests\nTrue\nIDLE\nAdminShutdown\n('a new one',)\ncouldn't get a connection after 0.05 s" in out
    assert out.endswith("PoolClosed\n780\n['0', '1', '2']\n1\n")


@pytest.mark.needs("redis")
def test_redis(compare: Comparison, redis: Server) -> None:
    out = compare("redis_threads.py", redis.url)
    assert out.startswith("300 b'300' LifoQueue 3\nNo connection available.\nTrue\nb'40'\nTrue False None\n")
    assert out.endswith("True\nFalse\n4950\n")


def test_every_program_is_run() -> None:
    names = {path.stem for path in PROGRAMS.glob("*.py")}
    assert names == {*OF_THE_STANDARD_LIBRARY, *OF_LIBRARIES, *WITH_MORE, *PARTS}
