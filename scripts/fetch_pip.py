"""Puts pip into an environment whose Python came without ensurepip: fetches pip's wheel and lets it install itself."""

import os
import pathlib
import re
import subprocess
import sys
import tempfile
import urllib.parse
import urllib.request


def newest(index: str) -> str:
    """The address of the newest release of pip on a simple index that this Python can use."""
    with urllib.request.urlopen(f"{index.rstrip('/')}/pip/", timeout=60) as answer:
        page, base = answer.read().decode(), answer.url
    found: list[tuple[tuple[int, ...], str]] = []
    for attributes in re.findall(r"<a ([^>]*)>", page):
        link = re.search(r'href="([^"]*/pip-(\d+(?:\.\d+)*)-py3-none-any\.whl[^"]*)"', attributes)
        needs = re.search(r'data-requires-python="&gt;=3\.(\d+)"', attributes)
        if link and "data-yanked" not in attributes and (not needs or int(needs[1]) <= sys.version_info[1]):
            found.append((tuple(map(int, link[2].split("."))), urllib.parse.urljoin(base, link[1])))
    if not found:
        sys.exit(f"prepare: no pip on {index}")
    return max(found)[1]


def main() -> None:
    address = newest(os.environ.get("PIP_INDEX_URL", "https://pypi.org/simple"))
    with tempfile.TemporaryDirectory() as folder:
        wheel = pathlib.Path(folder, urllib.parse.urlparse(address).path.rpartition("/")[2])
        with urllib.request.urlopen(address, timeout=180) as answer:
            wheel.write_bytes(answer.read())
        subprocess.run([sys.executable, f"{wheel}/pip", "install", "--quiet", "--no-index", str(wheel)], check=True)


if __name__ == "__main__":
    main()
