"""Arguments, results and exceptions that do not pickle, or do not load."""

from __future__ import annotations

from .. import tasks
from ..table import Peer, row
from ..telling import ALONE, among_others, began


@row("an argument cannot be pickled", ALONE.format("TypeError"))
def argument_unpicklable(peer: Peer) -> str:
    return among_others(began(peer()), tasks.given, tasks.RefusesPickling())


@row("an argument cannot be loaded", ALONE.format("NotLoaded"))
def argument_unloadable(peer: Peer) -> str:
    return among_others(began(peer()), tasks.given, tasks.RefusesLoading())


@row("a result cannot be pickled", ALONE.format("TypeError"))
def result_unpicklable(peer: Peer) -> str:
    return among_others(began(peer()), tasks.returns, tasks.RefusesPickling)


@row("a result cannot be loaded", ALONE.format("NotLoaded"))
def result_unloadable(peer: Peer) -> str:
    return among_others(began(peer()), tasks.returns, tasks.RefusesLoading)


@row("an exception cannot be pickled", ALONE.format("TypeError"))
def exception_unpicklable(peer: Peer) -> str:
    return among_others(began(peer()), tasks.raises_unpicklable)


@row("an exception cannot be loaded", ALONE.format("NotLoaded"))
def exception_unloadable(peer: Peer) -> str:
    return among_others(began(peer()), tasks.raises_needs_two)
