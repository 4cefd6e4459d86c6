"""A task whose module needs a large package."""

import numpy


def total(count: int) -> int:
    return int(numpy.arange(count).sum())
