"""Folds: ways to reduce values that can be done two at a time, as they come, without keeping them."""

from __future__ import annotations

import operator

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    Two = Callable[[Any, Any], Any]


def _less(a: Any, b: Any) -> Any:
    return b if b < a else a


def _greater(a: Any, b: Any) -> Any:
    return b if b > a else a


#: What may stand for `combine` or `reduce`, with what makes one value of two.
FOLDS: dict[Any, Two] = {
    sum: operator.add,
    min: _less,
    max: _greater,
    operator.add: operator.add,
    operator.mul: operator.mul,
    operator.or_: operator.or_,
    operator.and_: operator.and_,
}
#: How many values there are.
COUNT = len


def fold_of(function: Any) -> Two | None:
    """What makes one value of two, if `function` is one of those above."""
    try:
        return FOLDS.get(function)
    except TypeError:  # cannot be hashed
        return None
