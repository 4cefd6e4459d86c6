"""Where everything is written: each family's JSON, page and picture, and the one page of all.

`benchmarks/results/` has what was measured here; `benchmarks/published/` what the pages in `docs/` are made of.
"""

from __future__ import annotations

import pathlib
import sys
from collections.abc import Callable

from . import claims, picture, report, summary
from .families import FAMILIES
from .found import PUBLISHED, ROOT, Found, Run, add, kept, of_run

DOCS = ROOT / "docs"
READMES = {
    "README.md": (summary.ENGLISH, lambda group: group.english),
    "README.zh-CN.md": (summary.CHINESE, lambda group: group.chinese),
}
PAGE, CLAIMS = "benchmarks", "benchmarks-claims"


def fit_to_publish(run: Run) -> Run:
    """Without the workloads in which a measurement of ours failed."""

    def fit(workload: str) -> bool:
        return all(all(taken) for name, taken in run.samples[workload].items() if name in run.plan.table.ours)

    return run._replace(samples={name: by_name for name, by_name in run.samples.items() if fit(name)})


def write(run: Run, into: pathlib.Path, publish: bool) -> str:
    """What a run found, kept, as its family's page; gives the page of the run by itself."""
    name = run.plan.table.name
    write_family(into, add(into, run), name, "summary.md")
    if publish:
        fit = fit_to_publish(run)
        left_out = ", ".join(workload for workload in run.samples if workload not in fit.samples)
        if left_out:
            print(f"benchmarks: not published, since measurements of our own failed: {left_out}", file=sys.stderr)
        if fit.samples:
            add(PUBLISHED, fit)
    return report.markdown(of_run(run), f"{name}.svg", "summary.md")


def write_family(folder: pathlib.Path, found: Found, name: str, index: str) -> None:
    """Its page and its picture."""
    (folder / f"{name}.md").write_text(report.markdown(found, f"{name}.svg", index))
    (folder / f"{name}.svg").write_text(picture.draw(found.plan, found.samples))


def page_of(folder: pathlib.Path, beside: pathlib.Path, pages: Callable[[str], str]) -> summary.Page:
    """The one page, of what is kept in a folder; `beside` lie the families' pages, those that there are."""
    founds = {name: kept(folder, name) for name in FAMILIES}

    def page(name: str) -> str | None:
        return pages(name) if founds.get(name) or (beside / pages(name)).exists() else None

    return summary.Page(founds, page)


def write_pages(into: pathlib.Path, publish: bool) -> list[str]:
    """The one page, of everything that is kept; and, published, all pages of `docs/`. Gives what to say of it."""
    here = page_of(into, into, lambda name: f"{name}.md")
    into.mkdir(parents=True, exist_ok=True)
    (into / "summary.md").write_text(here.markdown("summary.svg"))
    (into / "summary.svg").write_text(here.picture())
    said = [f"benchmarks: {here.title()}: {into / 'summary.md'}, {into / 'summary.svg'}"]
    if publish:
        made = published()
        for path, text in made.items():
            path.write_text(text)
        said.append(f"benchmarks: published: {DOCS / PAGE}.md, the pages that it leads to, and {', '.join(READMES)}")
    return said


def published() -> dict[pathlib.Path, str]:
    """Every file that is made of what is published, and its text."""
    files = {}
    for name, table in FAMILIES.items():
        if found := kept(PUBLISHED, name):
            files[DOCS / f"{table.page}.md"] = report.markdown(found, f"{table.page}.svg", f"{PAGE}.md")
            files[DOCS / f"{table.page}.svg"] = picture.draw(found.plan, found.samples)
    if text := claims.page(PUBLISHED, f"{PAGE}.md"):
        files[DOCS / f"{CLAIMS}.md"] = text
    names = {name: table.page for name, table in FAMILIES.items()}
    page = page_of(PUBLISHED, DOCS, lambda name: f"{names.get(name, CLAIMS)}.md")
    files[DOCS / f"{PAGE}.md"] = page.markdown(f"{PAGE}.svg")
    files[DOCS / f"{PAGE}.svg"] = page.picture()
    for name, (words, title) in READMES.items():
        files[ROOT / name] = summary.in_readme((ROOT / name).read_text(), page.short(words, title))
    return files
