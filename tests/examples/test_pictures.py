"""Pictures: through three models comes what comes one after the other."""

from __future__ import annotations

import sys

from commands import end, needs_native, start


@needs_native
def test_the_same_comes_out(examples, folder):
    words = [str(folder), "--pattern", "*.txt", "--blur", "1"]
    done = end(start([sys.executable, str(examples / "pictures.py"), *words]))
    assert done.status == 0, done.err + done.out
    first, second, last = done.out.splitlines()
    assert first.split()[:6] == ["one", "after", "the", "other", "11", "files"]
    assert second.split()[:5] == ["through", "three", "models", "11", "files"]
    assert last == "The results are the same."


@needs_native
def test_blur(examples):
    from pictures import blur

    assert blur(bytes(2048)) == bytes(2048)
    assert blur(bytes([9]) * 2048) == bytes([9]) * 2048
    dot = blur(bytes([90]) + bytes(2047))
    assert sorted(set(dot)) == [0, 10]
    assert dot.count(10) == 9
