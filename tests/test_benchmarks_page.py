"""The one page of the benchmarks, of made-up results: rows, what is missed, what is not there; what is published."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from benchmarks import bars, downloads, found, headlines, picture, summary, writing
from benchmarks.families import FAMILIES, workloads_of
from benchmarks.measure import Interrupted, Plan, Sample
from benchmarks.report import Spread, markdown
from benchmarks.setting import Setting
from benchmarks.word_count import sample_of, slow

SVG = "{http://www.w3.org/2000/svg}"
HERE = Setting("a machine", "3.13.0", "2026-11-21", "abc1234", 2, 0.1)
LOOPS = ["asyncio", "uvloop", "fenshen (installed)"]


def taken(*rates: float, **more: float) -> list[Sample | None]:
    return [Sample(rate, 1e6 / rate, more) if rate else None for rate in rates]


def run_of(samples: dict[str, dict[str, list[Sample | None]]], family: str = "loops", **more: object) -> found.Run:
    """A run that has found so much."""
    known, table = workloads_of(family), FAMILIES[family]
    names = [name for name in table.contenders if any(name in by_name for by_name in samples.values())]
    rounds = max(len(some) for by_name in samples.values() for some in by_name.values())
    plan = Plan(table, [known[name] for name in samples], names, rounds, 0.1)
    run = found.Run(plan, samples, [], HERE)
    return run._replace(**more)


def page_of(*runs: found.Run) -> summary.Page:
    founds = {run.plan.table.name: found.of_run(run) for run in runs}
    return summary.Page(founds, lambda name: f"{name}.md" if name in founds else None)


def line_of(page: summary.Page, title: str) -> list[str]:
    """The cells of the row of that title."""
    (line,) = (line for line in page.markdown("p.svg").splitlines() if line.startswith(f"| {title} |"))
    return [cell.strip() for cell in line.strip("|").split("|")][1:]


ONE = run_of(
    {
        "sleep0": {"asyncio": taken(5, 5), "uvloop": taken(10, 10), "fenshen (installed)": taken(30, 40)},
        "spawn": {"asyncio": taken(5, 5), "uvloop": taken(10, 10), "fenshen (installed)": taken(29, 9)},
        "call_soon": {"asyncio": taken(5, 5), "uvloop": taken(10, 10), "fenshen (installed)": taken(29, 9)},
    },
    absent=("rloop",),
)


def test_a_row_says_whether_its_target_is_hit() -> None:
    page = page_of(ONE)
    cells = line_of(page, "task switch: sleep(0), 100 tasks")
    assert cells == ["operations/s", "35.0", "uvloop: 10.0", "3.50x", "3.50x (3.00-4.00)", "≥ 2x uvloop", "hit"]


def test_a_loss_is_said_as_plainly() -> None:
    page = page_of(ONE)
    cells = line_of(page, "spawn and await a task")
    assert cells[-3:] == ["1.90x (0.90-2.90)", "≥ 3x uvloop", "**missed**"]
    assert page.title().startswith("1 of 2 headline targets hit, 1 missed, ")
    (loop,) = (line for line in page.short(summary.ENGLISH, lambda group: group.english) if line.startswith("| The lo"))
    assert loop == "| The loop | 1 of 2 | spawn and await a task: 1.90x (target ≥ 3x uvloop); 11 not measured yet |"


def test_a_peer_that_is_ahead_is_seen_though_the_target_is_hit() -> None:
    samples = {"asyncio": taken(10), "uvloop": taken(50), "fenshen (installed)": taken(20)}
    cells = line_of(page_of(run_of({"run_empty": samples})), "run(empty())")
    assert cells[2:] == ["uvloop: 50.0", "**0.40x**", "2.00x (2.00-2.00)", "≥ 1x asyncio", "hit"]


def test_what_is_missing_says_why() -> None:
    failed = run_of({"gather": {"uvloop": taken(10), "fenshen (installed)": [None]}})
    alone = run_of({"gather": {"fenshen (installed)": taken(10)}})
    assert line_of(page_of(ONE), "call_soon, batches of 1000")[-1] == "rloop is not installed"
    assert line_of(page_of(ONE), "create_task + gather, 100k")[-1] == "not measured yet"
    assert line_of(page_of(ONE), "words counted by map_reduce, to Ray")[-1] == "not measured yet"
    assert line_of(page_of(failed), "create_task + gather, 100k")[-1] == "fenshen (installed) failed"
    assert line_of(page_of(alone), "create_task + gather, 100k")[-1] == "uvloop was not measured"
    assert line_of(page_of(alone), "create_task + gather, 100k")[2:5] == ["-", "-", "-"]


def test_nothing_measured_is_a_page_too() -> None:
    page = page_of()
    assert page.title().startswith("0 of 0 headline targets hit, 0 missed, ")
    assert all(row.verdict() == "not measured yet" for row in page.rows)
    ElementTree.fromstring(page.picture())


def test_of_memory_less_is_better() -> None:
    more = {"MB at most": 20.0}
    samples = {"wget2": taken(200, **{"MB at most": 100.0}), "fenshen tasks": taken(50, **more)}
    samples["fenshen threads"] = taken(100, **{"MB at most": 25.0})
    page = page_of(run_of({"downloads": samples}, "downloads"))
    rate, memory = (line_of(page, f"files downloaded, 20 at once{what}") for what in ("", ": memory"))
    assert rate == ["MB/s", "100", "wget2: 200", "**0.50x**", "0.50x (0.50-0.50)", "≥ 0.67x wget2", "**missed**"]
    assert memory[1:5] == ["25.0", "wget2: 100", "4.00x", "4.00x less (4.00-4.00)"]
    assert memory[-1] == "hit"


def test_the_fastest_of_our_ways_is_named() -> None:
    samples = {"stdlib pool": taken(10), "fenshen map_reduce": taken(9), "fenshen map_reduce, Counter": taken(20)}
    cells = line_of(page_of(run_of({"words": samples}, "words")), "words counted by map_reduce, to stdlib pool")
    assert cells[1] == "fenshen map_reduce, Counter: 20.0"
    assert cells[-1] == "hit"


def test_a_limit_of_nobody() -> None:
    what = headlines.SLOWER
    more = {headlines.MEMORY: 500.0, what: 4.0}
    samples = {"uvloop": taken(10, **{**more, what: 1.0}), "fenshen (installed)": taken(10, **more)}
    page = page_of(run_of({"crowd_streams": samples}))
    cells = line_of(page, "10,000 idle connections, streams: p99")
    assert cells[1:] == ["4.00", "uvloop: 1.00", "**0.25x**", "0.50x less (0.50-0.50)", "≤ 2", "**missed**"]


def test_a_near_miss_is_not_rounded_up() -> None:
    row = headlines.Row("loops", "a", "s", "≥ 1x uvloop", 1.0, "uvloop", ratio=Spread(0.9996, 0.9, 1.0))
    assert (row.number(), row.verdict()) == ("0.9996x", "missed")
    assert row._replace(hit=True, ratio=Spread(1.2345, 1, 2)).number() == "1.23x"


def test_every_headline_is_a_target() -> None:
    for group in headlines.GROUPS:
        for family, names in group.workloads.items():
            for name in names:
                workload = workloads_of(family)[name]
                assert workload.targets or workload.limits, name


def test_the_picture_has_a_bar_for_each_row_and_says_what_is_missed() -> None:
    odd = [
        headlines.Row("loops", '<&> "it\'s"', "s", "≥ 2x a<b", 2.0, "a<b", ratio=Spread(1, 0.5, 2)),
        headlines.Row("loops", "x" * 500, "s", "≥ 2x b", 2.0, "b" * 500, ratio=Spread(300, 200, 400), hit=True),
        headlines.Row("loops", "none", "s", "≥ 2x b", 2.0, "b", why="b is not installed"),
    ]
    text = bars.draw([(headlines.GROUPS[0], odd)], "1 of <2>")
    root = ElementTree.fromstring(text)
    marks = [each.get("class") for each in root.iter()]
    assert marks.count("goal") == 3 + 1  # one is the legend's
    assert marks.count("hit") == 1 + 1
    assert len([each for each in root.iter() if each.get("fill") == "url(#hatch)"]) == 1 + 1
    texts = [each.text or "" for each in root.iter(f"{SVG}text")]
    assert {'<&> "it\'s"', "1.00x a<b, missed", "b is not installed", "1 of <2>"} <= set(texts)
    assert "…, missed</text>" in bars.line(odd[1]._replace(hit=False), bars.axis_of(odd), 10)
    assert "prefers-color-scheme: dark" in text


def widths(root: ElementTree.Element) -> list[tuple[str, float, float]]:
    """Where each text begins and ends, as wide as it may be."""
    ends = []
    for each in root.iter(f"{SVG}text"):
        x, text, size = float(each.get("x", 0)), each.text or "", bars.LETTER
        if each.get("class") == "title":
            size *= 16 / 12
        width = float(each.get("textLength", size * len(text)))
        left = {"end": x - width, "middle": x - width / 2}.get(each.get("text-anchor", ""), x)
        ends.append((text, left, left + width))
    return ends


def test_no_label_of_the_picture_is_too_long() -> None:
    limited = {"fenshen (installed)": taken(10, **{headlines.MEMORY: 500.0, headlines.SLOWER: 4.0})}
    texts = widths(
        ElementTree.fromstring(page_of(ONE._replace(samples={**ONE.samples, "crowd_streams": limited})).picture())
    )
    assert all(left >= 0 and right <= bars.WIDTH for _, left, right in texts), texts
    titles = {row.title for row in page_of(ONE).rows}
    assert "4.00 (≤ 2), missed" in {text for text, _, _ in texts}
    assert titles <= {text for text, _, _ in texts}, "a title is cut short: give it a shorter one in headlines.SHORT"


@pytest.mark.parametrize("family", FAMILIES)
def test_the_picture_of_a_family_has_room_for_everybody(family: str) -> None:
    known, table = workloads_of(family), FAMILIES[family]
    samples = {name: {who: taken(10) for who in table.contenders} for name in known}
    run = run_of(samples, family)
    texts = widths(ElementTree.fromstring(picture.draw(run.plan, run.samples)))
    assert all(left >= 0 and right <= bars.WIDTH for _, left, right in texts), texts
    assert set(table.colours) <= {text for text, _, _ in texts}


def test_a_run_takes_the_place_of_what_it_measures(tmp_path: Path) -> None:
    found.add(tmp_path, ONE)
    later = run_of({"spawn": {"uvloop": taken(10), "fenshen (installed)": taken(50)}})
    later = later._replace(setting=HERE._replace(date="2026-12-01", commit="def5678"))
    both = found.add(tmp_path, later)
    assert [list(part.samples) for part in both.parts] == [["sleep0", "call_soon"], ["spawn"]]
    assert both.samples["spawn"]["fenshen (installed)"] == taken(50)
    assert [workload.name for workload in both.plan.workloads] == ["sleep0", "spawn", "call_soon"]
    text = markdown(both, "p.svg", "index.md")
    assert "By a run of its own, of 1 round of 0.1 s: spawn and await a task." in text
    assert "01 December 2026. Commit def5678." in text
    assert "21 November 2026. Commit abc1234." in text
    assert found.kept(tmp_path, "loops") == both
    assert found.kept(tmp_path, "threads") is None


def test_workloads_and_contenders_that_are_no_more_are_left_out(tmp_path: Path) -> None:
    run = ONE.as_json()
    run["samples"]["gone"] = run["samples"]["sleep0"]
    run["samples"]["sleep0"]["a loop that is gone"] = run["samples"]["sleep0"]["uvloop"]
    run["versions"]["a loop that is gone"] = "1"
    again = found.of_runs("loops", [run])
    assert [workload.name for workload in again.plan.workloads] == ["sleep0", "spawn", "call_soon"]
    assert "gone" not in markdown(again, "p.svg", "index.md")


def test_what_failed_of_ours_is_not_published(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(writing, "PUBLISHED", tmp_path / "published")
    ours = {"uvloop": taken(10), "fenshen (installed)": [None]}
    run = run_of({"sleep0": ours, "spawn": {"uvloop": [None], "fenshen (installed)": taken(10)}})
    text = writing.write(run, tmp_path / "results", publish=True)
    assert "task switch" in text
    assert list(json.loads((tmp_path / "published/loops.json").read_text())["runs"][0]["samples"]) == ["spawn"]
    assert {path.name for path in (tmp_path / "results").iterdir()} == {"loops.json", "loops.md", "loops.svg"}


def test_pages_of_results(tmp_path: Path) -> None:
    writing.write(ONE, tmp_path, publish=False)
    (said,) = writing.write_pages(tmp_path, publish=False)
    assert str(tmp_path / "summary.md") in said
    assert "[Benchmarks of loops](loops.md)" in (tmp_path / "summary.md").read_text()
    assert "not installed: rloop" in (tmp_path / "summary.md").read_text()
    assert "Not installed there, and left out: rloop." in (tmp_path / "loops.md").read_text()


def test_what_is_published_is_what_the_pages_show() -> None:
    """`python -m benchmarks.page` makes them again."""
    other = [path for path, text in writing.published().items() if not path.exists() or path.read_text() != text]
    assert other == []


def test_a_page_of_a_busy_machine_says_so() -> None:
    busy = ONE._replace(setting=HERE._replace(busy=1.4))
    assert f"**{busy.setting.warning()}**" in markdown(found.of_run(busy), "p.svg", "index.md")
    assert "**the machine was busy: not to be quoted**" in page_of(busy).markdown("p.svg")
    assert "not to be quoted" not in page_of(ONE).markdown("p.svg")


def test_a_readme_without_the_marks_is_refused() -> None:
    whole = f"a\n{summary.BEGIN}\nold\n{summary.END}\nb"
    assert summary.in_readme(whole, ["new"]) == f"a\n{summary.BEGIN}\n\nnew\n\n{summary.END}\nb"
    with pytest.raises(LookupError, match="the readme has no"):
        summary.in_readme("a\nb", ["new"])


PRINTED = """100 files, 250.0 MB, from a local server, 20 connections at once
that answers after 20 ms

              seconds   peak memory
threads          0.50       24.2 MB   100 files, 0 were there, 0 attempts more
wget2            0.25      146.4 MB
other            0.25      146.4 MB
"""


def test_what_the_downloader_prints_is_read() -> None:
    told, samples = downloads.read(PRINTED)
    assert told == "100 files, 250.0 MB, from a local server, 20 connections at once that answers after 20 ms"
    assert samples.keys() == {"fenshen threads", "wget2"}
    assert samples["wget2"] == Sample(1000, 0.0, {"seconds": 0.25, "MB at most": 146.4})
    assert downloads.read("nothing of the kind\n") == ("", {})


def test_words_are_counted_by_the_mebibyte() -> None:
    sample = sample_of({"seconds": 4.0, "cpu": 8.0, "memory": 3 << 20}, 1024)
    assert sample == Sample(256, 7812.5, {"seconds": 4.0, "MiB at most": 3})
    assert not slow(sample)
    assert slow(sample_of({"seconds": 400.0, "cpu": 8.0, "memory": 1}, 1024))


INTERRUPTED = """
import json
from benchmarks import measure
from benchmarks.tables import TABLES
from benchmarks.workloads import Workload
taken = []
def take(name, workload, seconds):
    taken.append(name)
    if len(taken) == 4:
        raise KeyboardInterrupt
    return measure.Sample(len(taken), 1)
measure.take = take
plan = measure.Plan(TABLES["processes"], [Workload("one", "one", 1, None)], ["loky", "pebble"], 3, 0.1)
try:
    measure.measure(plan)
except measure.Interrupted as stopped:
    print(json.dumps([stopped.rounds, stopped.samples]))
"""


def test_complete_rounds_are_kept_of_what_is_interrupted() -> None:
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED], cwd=writing.ROOT, capture_output=True, text=True, timeout=120
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout) == [1, {"one": {"loky": [[1, 1, {}]], "pebble": [[2, 1, {}]]}}]
    assert issubclass(Interrupted, KeyboardInterrupt)


SLOW = """
import json
from benchmarks import measure
from benchmarks.tables import TABLES
from benchmarks.workloads import Workload
measure.SLOW = 0.0
measure.take = lambda name, workload, seconds: measure.Sample(1, 1)
plan = measure.Plan(TABLES["processes"], [Workload("one", "one", 1, None)], ["loky", "fenshen"], 3, 0.1)
print(json.dumps(measure.measure(plan)))
"""


def test_what_is_slow_is_measured_once() -> None:
    done = subprocess.run([sys.executable, "-c", SLOW], cwd=writing.ROOT, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")
    one = [1, 1, {}]
    assert json.loads(done.stdout) == [{"one": {"loky": [one, None, None], "fenshen": [one, one, one]}}, []]


def test_every_page_of_a_family_leads_to_the_one_page() -> None:
    for name in FAMILIES:
        page = writing.DOCS / f"{FAMILIES[name].page}.md"
        if page.exists():
            assert re.search(r"\[benchmarks\.md\]\(benchmarks\.md\)", page.read_text()), page
