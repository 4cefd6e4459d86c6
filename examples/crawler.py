"""A polite crawler: asks for pages in tasks, no more often than the site allows, and takes them apart in processes.

    python examples/crawler.py              # a local site of the standard library's own documentation
    python examples/crawler.py URL          # a site of yours

It follows links within the site, obeys robots.txt (what is forbidden, how many requests there may be), asks for each
page once, and prints what it found: pages, links that lead nowhere, and the words that are used most.
"""

from __future__ import annotations

import argparse
import asyncio
import collections
import html.parser
import pydoc
import re
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urldefrag, urljoin, urlsplit
from urllib.robotparser import RobotFileParser

import fenshen
from fenshen.flow import Limiter, RateLimiter
from serving import web_server

AGENT = "fenshen-example"
MODULES = "asyncio collections concurrent.futures contextlib functools html json multiprocessing queue threading urllib"


class Page(NamedTuple):
    """What a page holds."""

    links: list[str]
    words: collections.Counter[str]


class Parser(html.parser.HTMLParser):
    """Gathers links and text."""

    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "a":
            self.links += [value for name, value in attrs if name == "href" and value]

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def parse(url: str, body: bytes) -> Page:
    """Take a page apart: this computes, so it runs in a process."""
    parser = Parser()
    parser.feed(body.decode(errors="replace"))
    words = collections.Counter(re.findall(r"[a-z]{4,}", " ".join(parser.text).lower()))
    return Page(sorted({urldefrag(urljoin(url, link)).url for link in parser.links}), words)


async def get(url: str) -> tuple[int, bytes]:
    """The status and the body of a page, by a request of its own."""
    parts = urlsplit(url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port or 80)
    try:
        request = f"GET {parts.path or '/'} HTTP/1.1", f"Host: {parts.netloc}", f"User-Agent: {AGENT}", "", ""
        writer.write("\r\n".join(request).encode())
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        size = re.search(r"(?im)^content-length: *(\d+)", head)
        body = await reader.readexactly(int(size[1])) if size else await reader.read()
        return int(head.split()[1]), body
    finally:
        writer.close()


class Crawler:
    """A walk through one site."""

    def __init__(self, start: str, rate: float, most: int) -> None:
        self.start, self.most = start, most
        self.rate, self.at_once = RateLimiter(rate), Limiter(8)
        self.robots = RobotFileParser()
        self.seen: set[str] = set()
        self.statuses: dict[str, int] = {}
        self.words: collections.Counter[str] = collections.Counter()

    async def crawl(self) -> None:
        """Visit the start, and everything that can be reached from it and is allowed."""
        status, body = await get(urljoin(self.start, "/robots.txt"))
        self.robots.parse(body.decode(errors="replace").splitlines() if status == 200 else [])
        if asked := self.robots.request_rate(AGENT):
            self.rate = RateLimiter(min(self.rate.rate, asked.requests / asked.seconds))
        if pause := self.robots.crawl_delay(AGENT):
            self.rate = RateLimiter(min(self.rate.rate, 1 / float(pause)))
        front = [self.start]
        while front := [url for url in front if self.wanted(url)][: self.most - len(self.seen)]:
            self.seen.update(front)
            front = sorted({link for links in await asyncio.gather(*map(self.visit, front)) for link in links})

    def wanted(self, url: str) -> bool:
        """Whether a page is of this site, new, and not forbidden."""
        same = urlsplit(url)[:2] == urlsplit(self.start)[:2]
        return same and url not in self.seen and self.robots.can_fetch(AGENT, url)

    async def visit(self, url: str) -> list[str]:
        """Ask for a page when it is its turn; the links on it."""
        async with self.at_once:
            async with self.rate:
                pass
            self.statuses[url], body = await get(url)
        if self.statuses[url] != 200:
            return []
        page = await fenshen.to_process(parse, url, body)
        self.words += page.words
        return page.links


def write_site(folder: Path) -> None:
    """The documentation of some modules, as `pydoc` writes it, and what crawlers may not see."""
    renderer = pydoc.HTMLDoc()
    for name in MODULES.split():
        module = pydoc.safeimport(name)
        (folder / f"{name}.html").write_text(renderer.page(name, renderer.docmodule(module)), errors="replace")
    links = "".join(f'<p><a href="{name}.html">{name}</a>' for name in [*MODULES.split(), "private/diary"])
    (folder / "index.html").write_text(f"<title>modules</title>{links}")
    (folder / "private").mkdir()
    (folder / "private" / "diary.html").write_text("Nobody's business.")
    (folder / "robots.txt").write_text("User-agent: *\nDisallow: /private/\nRequest-rate: 80/1\n")


async def main(start: str, rate: float, most: int) -> None:
    """Crawl, and tell."""
    crawler = Crawler(start, rate, most)
    began = time.perf_counter()
    await crawler.crawl()
    took = time.perf_counter() - began
    good = [url for url, status in crawler.statuses.items() if status == 200]
    print(f"{len(good)} pages in {took:.1f} s, {len(crawler.statuses) - len(good)} links that lead nowhere")
    print(f"{crawler.words.total():,} words; most often " + ", ".join(w for w, _ in crawler.words.most_common(5)))


if __name__ == "__main__":
    options = argparse.ArgumentParser(description="A polite crawler.")
    options.add_argument("url", nargs="?", help="where to begin (default: a local site of pydoc's)")
    options.add_argument("--rate", type=float, default=100, help="requests a second at most (default: 100)")
    options.add_argument("--most", type=int, default=200, help="pages at most (default: 200)")
    chosen = options.parse_args()
    if chosen.url:
        fenshen.run(main(chosen.url, chosen.rate, chosen.most))
        sys.exit()
    with tempfile.TemporaryDirectory() as made:
        write_site(Path(made))
        with web_server(made, "--delay", "0.02") as address:
            fenshen.run(main(f"{address}/index.html", chosen.rate, chosen.most))
