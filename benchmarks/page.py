"""`python -m benchmarks.page`: every page of `docs/` and the readmes' parts, made again of what is published.

Nothing is measured. `--results FOLDER` makes the one page of a folder of results instead.
"""

import argparse
import pathlib
import sys

from . import writing


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.page", description="Make the pages again.")
    parser.add_argument("--results", type=pathlib.Path, help="of a folder of results instead, written there")
    parser.add_argument("--check", action="store_true", help="write nothing, and fail where a page is another")
    options = parser.parse_args()
    if options.results:
        print(*writing.write_pages(options.results, publish=False), sep="\n")
        return 0
    made = writing.published()
    changed = [path for path, text in made.items() if not path.exists() or path.read_text() != text]
    for path in changed:
        print(path.relative_to(writing.ROOT))
        if not options.check:
            path.write_text(made[path])
    return 1 if changed and options.check else 0


if __name__ == "__main__":
    sys.exit(main())
