"""Words counted over files: map in a pool, reduce in the program."""

import collections
import functools
import multiprocessing
import pathlib
import re


def write(number):
    path = pathlib.Path(f"part-{number}.txt")
    words = ["the", "quick", "brown", "fox"][: number % 4 + 1]
    path.write_text(" ".join(words * (number + 1)))
    return path


def count(path):
    with open(path) as file:
        return collections.Counter(re.findall(r"\w+", file.read()))


if __name__ == "__main__":
    with multiprocessing.Pool() as pool:
        paths = pool.map(write, range(12))
        counts = pool.imap_unordered(count, paths, chunksize=2)
        total = functools.reduce(lambda a, b: a + b, counts)
    for word, number in total.most_common():
        print(word, number)
    print(sum(total.values()), type(total).__name__, paths[0].suffix)
