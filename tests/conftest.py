"""What every test may take for granted."""

import signal

import pytest
from once_more import OnceMore, add_option

# A shell that starts the tests in the background has the interrupt ignored, by them and by what they start.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_addoption(parser: pytest.Parser) -> None:
    add_option(parser)


def pytest_configure(config: pytest.Config) -> None:
    if most := config.getoption("--once-more"):
        config.pluginmanager.register(OnceMore(most), "once-more")
