"""The crawler: it sees what it may, once, and no more often than allowed."""

from __future__ import annotations

import sys

from commands import end, needs_native, start

pytestmark = needs_native


def test_site(examples, tmp_path):
    """A site with a ring of links, a page that is forbidden, and one that is not there."""
    from serving import web_server

    pages = {"index": "one two gone", "one": "two index", "two": "one secret/diary", "secret/diary": "one"}
    (tmp_path / "secret").mkdir()
    for name, links in pages.items():
        text = "".join(f'<p>words about pages <a href="/{link}.html#part">link</a>' for link in links.split())
        (tmp_path / f"{name}.html").write_text(text)
    (tmp_path / "robots.txt").write_text("User-agent: *\nDisallow: /secret/\nRequest-rate: 20/1\n")
    with web_server(tmp_path) as url:
        done = end(start([sys.executable, str(examples / "crawler.py"), f"{url}/index.html"]))
    assert done.status == 0, done.err
    first, second = done.out.splitlines()
    pages, took = first.split(" pages in ")
    assert pages == "3"
    # Four requests at 20 a second: the first at once, so three pauses of 50 ms. It is printed to one digit.
    assert float(took.split()[0]) >= 0.1
    assert first.endswith(" s, 1 links that lead nowhere")
    assert second == "28 words; most often words, about, pages, link"


def test_robots_are_obeyed(examples):
    from crawler import Crawler, parse

    crawler = Crawler("http://a.test/", 10, 10)
    crawler.robots.parse(["User-agent: *", "Disallow: /private/"])
    wanted = ["http://a.test/", "http://a.test/private/x", "http://b.test/", "https://a.test/"]
    assert [url for url in wanted if crawler.wanted(url)] == ["http://a.test/"]
    assert parse("http://a.test/x/", b'<a href="y#z">Some text</a> <a name="n">').links == ["http://a.test/x/y"]
