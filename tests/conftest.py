"""What every test may take for granted."""

import gc
import signal

import pytest
from once_more import OnceMore, add_option

# A shell that starts the tests in the background has these ignored, by them and by what they start.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
for number in (signal.SIGQUIT, signal.SIGHUP):
    if signal.getsignal(number) == signal.SIG_IGN:
        signal.signal(number, signal.SIG_DFL)


#: The folders in which a test fails that leaves something behind.
CLEAN = ("flow", "groups", "together")


def pytest_addoption(parser: pytest.Parser) -> None:
    add_option(parser)


def pytest_configure(config: pytest.Config) -> None:
    if most := config.getoption("--once-more"):
        config.pluginmanager.register(OnceMore(most), "once-more")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.parent.name in CLEAN and item.get_closest_marker("fenshen_leaks") is None:
            item.add_marker(pytest.mark.fenshen_leaks)


def pytest_collection_finish(session: pytest.Session) -> None:
    """What lives as long as the tests do is not looked at again by each of the many collections that they ask for."""
    gc.collect()
    gc.freeze()
