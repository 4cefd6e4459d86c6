"""gevent's monkey patch puts greenlets' locks and queues under the standard names; ours make way for them."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from fenshen._engine import say


def patch_thread(original: Callable[..., Any]) -> Callable[..., Any]:
    """`gevent.monkey.patch_thread`, which changes what the standard library's locks are made of: they have to be back
    by then, for a wait of ours would hold up every greenlet.
    """

    @functools.wraps(original)
    def patch(*args: Any, **named: Any) -> Any:
        from fenshen.installing import uninstall

        uninstall(loop=False, processes=False)
        say("this program patches its threads by gevent; fenshen's locks, queues and pools are not in use", once=True)
        return original(*args, **named)

    return patch
