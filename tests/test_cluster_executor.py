"""`ClusterExecutor` where there is no cluster; with clusters: tests/ecosystem/test_clusters.py."""

from __future__ import annotations

import sys

import pytest
from fenshen.flow import map_reduce
from fenshen.futures import ClusterExecutor


@pytest.mark.parametrize(("engine", "module"), [("ray", "ray"), ("dask", "distributed")])
def test_an_engine_that_is_not_installed(engine: str, module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    for use in (lambda: ClusterExecutor(engine), lambda: map_reduce([], str.split, len, engine=engine)):
        with pytest.raises(ImportError, match=rf"fenshen\[{engine}\]"):
            use()


def test_an_engine_that_is_not_known() -> None:
    with pytest.raises(ValueError, match="ray, dask"):
        ClusterExecutor("spark")
