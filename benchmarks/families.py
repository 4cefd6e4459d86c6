"""Everything that has a page of its own: the tables, and what is measured by programs of its own."""

from . import downloads, word_count
from .tables import TABLES, Table
from .workloads import TABLES as NAMES
from .workloads import Workload, of_table

FAMILIES: dict[str, Table] = {**TABLES, word_count.TABLE.name: word_count.TABLE, downloads.TABLE.name: downloads.TABLE}


def workloads_of(family: str) -> dict[str, Workload]:
    """Its workloads by name, in its order."""
    if family in NAMES:
        return of_table(family)
    return {"words": word_count, "downloads": downloads}[family].WORKLOADS
