"""Count the words of a tree of files by `map_reduce`, in processes here or on a cluster.

python examples/count_words.py                                # Python's own standard library
python examples/count_words.py FOLDER --pattern '**/*.txt'
python examples/count_words.py --engine ray                   # or dask; each must be installed
"""

from __future__ import annotations

import argparse
import collections
import sysconfig
import time

from fenshen.flow import files, map_reduce


def words(text: str) -> collections.Counter[str]:
    """The words of a piece of text, each with how often it is there."""
    return collections.Counter(word for word in text.split() if word.isalpha())


def main() -> None:
    """The command line."""
    options = argparse.ArgumentParser(description="Count the words of a tree of files.")
    tree = sysconfig.get_path("stdlib")
    options.add_argument("folder", nargs="?", default=tree, help=f"(default: {tree})")
    options.add_argument("--pattern", default="*/*.py", help="which files (default: */*.py)")
    options.add_argument("--engine", choices=("local", "ray", "dask"), default="local", help="(default: local)")
    options.add_argument("--workers", type=int, help="processes (default: one for each CPU)")
    chosen = options.parse_args()
    found = files(chosen.pattern, root=chosen.folder, errors="replace")
    began = time.perf_counter()
    counted = map_reduce(found, words, reduce=sum, combine=sum, engine=chosen.engine, workers=chosen.workers)
    took = time.perf_counter() - began
    print(f"{sum(counted.values()):,} words, {len(counted):,} different ones, in {took:.1f} s")
    for word, times in sorted(counted.items(), key=lambda pair: (-pair[1], pair[0]))[:10]:
        print(f"{times:8,}  {word}")


if __name__ == "__main__":
    main()
