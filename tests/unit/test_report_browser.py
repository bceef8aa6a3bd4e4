"""The report in a real browser: opens without a fault or a request, sorts, links, needs no mouse.

The checks run inside a copy of the page; what they saw is read from its DOM.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pandas as pd
import pytest
import report_inputs
from test_report import page_of

NAMES = ("chromium", "chromium-browser", "google-chrome")
BROWSER = next((found for name in NAMES if (found := shutil.which(name))), "")
pytestmark = pytest.mark.skipif(not BROWSER, reason="needs chromium on PATH")

LOOK = """<script>
addEventListener("load", () => setTimeout(() => {
  const all = (query, within = document) => [...within.querySelectorAll(query)];
  const seen = {};
  seen.sections = all(".mainpage h2").map((h) => h.textContent.trim().replace(/\\s+/g, " "));
  const heads = all(".mainpage :is(h1,h2,h3,h4,h5)").filter((h) => h.getClientRects().length);
  seen.levels = heads.map((h) => +h.tagName[1]);
  const table = all(".cx-tall table").find((t) => t.rows.length > 9 && t.querySelector("thead .cx-num"));
  const head = [...table.tHead.rows[0].cells].findIndex((c) => c.classList.contains("cx-num"));
  const read = () => [...table.tBodies[0].rows].map((r) => r.cells[head].dataset.v ?? "");
  const button = table.tHead.rows[0].cells[head].querySelector("button");
  seen.sort = [];
  for (let i = 0; i < 2; i++) {
    button.focus(); button.click();
    seen.sort.push([button.closest("th").getAttribute("aria-sort"), read()]);
  }
  seen.focusable = document.activeElement === button;
  seen.links = all("a.cx-see").map((a) => {
    const target = document.getElementById(a.getAttribute("href").slice(1));
    return target ? target.querySelector("svg")?.getAttribute("aria-label") ?? "no figure" : "no target";
  });
  document.documentElement.style.scrollBehavior = "auto";
  const first = document.querySelector("a.cx-see"), before = scrollY;
  first.click();
  seen.broken = all('.mainpage a[href^="#"], .side-nav a[href^="#"]')
    .map((a) => a.getAttribute("href").slice(1))
    .filter((id) => id && !document.getElementById(decodeURIComponent(id)));
  const named = (s) => s.getAttribute("role") === "img" && s.getAttribute("aria-label");
  seen.unnamed = all(".cx-figure svg").filter((s) => !named(s)).length;
  seen.figures = all(".cx-figure svg").length;
  seen.scopes = all(".cx-table th").filter((h) => !h.getAttribute("scope")).length;
  const ids = all(".cx-figure [id], .cx-figure[id], .cx-question[id]").map((e) => e.id);
  seen.twice = ids.filter((id, i) => ids.indexOf(id) !== i);
  seen.lang = document.documentElement.lang;
  seen.skip = document.querySelector("a[href]").className;
  seen.target = !!document.getElementById(document.querySelector("a.cx-skip").getAttribute("href").slice(1));
  seen.wide = document.documentElement.scrollWidth - innerWidth;
  seen.plots = all(".js-plotly-plot").filter((p) => !p.querySelector(".main-svg")).length;
  setTimeout(() => {
    const box = document.getElementById(first.getAttribute("href").slice(1)).getBoundingClientRect();
    seen.jumped = scrollY !== before && box.top >= 0 && box.top < innerHeight;
    const out = document.createElement("script");
    out.type = "application/json"; out.id = "seen"; out.textContent = JSON.stringify(seen);
    document.body.append(out);
    parent.postMessage(out.textContent, "*");
  }, 1000);
}, 3000));
</script>"""
# A window of Chromium is never narrower than 500 pixels, a frame in it is.
NARROW = """<!doctype html><body style="margin:0">
<iframe src="page.html" style="width:WIDTHpx;height:880px;border:0"></iframe>
<script>addEventListener("message", (event) => {
  const out = document.createElement("script");
  out.type = "application/json"; out.id = "seen"; out.textContent = event.data;
  document.body.append(out);
})</script>"""


def look(page: Path, folder: Path, width: int, more: str = "") -> tuple[dict, list[str], list[str]]:
    """What the checks saw, the console's lines, and the addresses that were asked for."""
    folder.mkdir()
    copy, log = folder / "page.html", folder / "net.json"
    text = page.read_text()
    at = re.search(r"</head>\s*<body>", text)
    assert at
    copy.write_text(text[: at.end()] + LOOK + more + text[at.end() :])
    if width < 500:
        (folder / "narrow.html").write_text(NARROW.replace("WIDTH", str(width)))
    shown = folder / "narrow.html" if width < 500 else copy
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--virtual-time-budget=15000"]
    flags += [
        "--disable-background-networking",
        "--disable-component-update",
        f"--user-data-dir={folder}/user",
    ]
    flags += [f"--window-size={width},900", f"--log-net-log={log}", "--enable-logging=stderr", "--dump-dom"]
    done = subprocess.run(
        [BROWSER, *flags, f"file://{shown}"], capture_output=True, text=True, timeout=120, check=True
    )
    found = re.search(r'<script type="application/json" id="seen">(.*?)</script>', done.stdout, re.DOTALL)
    assert found, "the checks ran to their end"
    console = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    return json.loads(found[1]), console, _asked(log)


def _asked(log: Path) -> list[str]:
    """Addresses outside this machine's files that the page asked for; the browser itself asks for others."""
    of_page = set()
    for event in json.loads(log.read_text())["events"]:
        about = event.get("params") or {}
        if about.get("initiator", "not an origin") != "not an origin":
            of_page.add(str(about.get("url")))
    return sorted(url for url in of_page if not url.startswith(("file:", "data:", "blob:")))


@pytest.fixture(scope="module")
def page(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("browser")
    inputs = report_inputs.build(folder / "in", patients=12, cells=40)
    rows = pd.read_csv(inputs / "tox_d7.associations.csv", keep_default_na=False)
    explored = (rows["family"] == "pathway") & (rows["cell_type"] == "CD8_T")
    rows.assign(q=rows["q"].where(~explored, 0.01)).to_csv(inputs / "tox_d7.associations.csv", index=False)
    page_of(folder)
    return folder / "report.html"


@pytest.mark.parametrize("width", [1400, 400])
def test_in_a_browser(page: Path, tmp_path: Path, width: int) -> None:
    seen, console, asked = look(page, tmp_path / "look", width)
    assert console == [], "no error, no warning"
    assert asked == [], "no request leaves the page"
    assert seen["sections"] == [
        *("Findings", "Associations", "Cohort", "Quality control", "Cells", "Pathways", "Ligand–receptor"),
        *("Composition", "CAR+ cells", "Serum", "Calibration", "Methods", "This run", "Software Versions"),
    ]
    assert seen["plots"] == 0, "every plot is drawn"
    assert seen["wide"] <= 0, "nothing is wider than the window"

    (up, first), (down, second) = seen["sort"]
    assert (up, down) == ("ascending", "descending") and seen["focusable"]
    numbers = [float(v) for v in first if v]
    assert numbers == sorted(numbers) and len(set(numbers)) > 1
    assert [float(v) for v in second if v] == numbers[::-1]

    assert len(seen["links"]) >= 4, "declared, found and explored"
    assert all("a dot for each patient" in figure for figure in seen["links"])
    assert seen["jumped"], "a finding's link shows its figure"
    assert seen["broken"] == [] and seen["twice"] == []


def test_a_request_would_be_seen(page: Path, tmp_path: Path) -> None:
    """No server is asked: nothing listens there."""
    address = "http://127.0.0.1:9/picture.png"
    _, _, asked = look(page, tmp_path / "look", 1400, f'<img src="{address}" alt="">')
    assert asked == [address]


def test_without_a_mouse_or_eyes(page: Path, tmp_path: Path) -> None:
    seen, _, _ = look(page, tmp_path / "look", 1400)
    assert seen["lang"] == "en"
    assert seen["skip"] == "cx-skip" and seen["target"], "the first link leads past the side bar"
    assert seen["figures"] > 30 and seen["unnamed"] == 0, "each figure says what it shows"
    assert seen["scopes"] == 0, "each heading of a table says what it heads"
    steps = [b - a for a, b in zip(seen["levels"], seen["levels"][1:], strict=False)]
    assert seen["levels"][0] == 1 and max(steps) == 1, "no level of heading is left out"


def test_a_large_cohort_opens_in_time(tmp_path: Path, case) -> None:
    """100 samples; cells beyond 10,000 are not in the page, so their number does not matter here."""
    report_inputs.build(tmp_path / "in", patients=34, cells=120)
    page_of(tmp_path)
    page = tmp_path / "report.html"
    assert page.stat().st_size < 10_000_000
    text = page.read_text()
    # the last of the page's handlers: plots are drawn by then
    mark = 'addEventListener("load", () => (document.title = "opened " + Math.round(performance.now())));'
    body, end, rest = text.rpartition("</body>")
    copy = tmp_path / "page.html"
    copy.write_text(f"{body}<script>{mark}</script>{end}{rest}")
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--dump-dom"]
    flags += ["--disable-background-networking", f"--user-data-dir={tmp_path}/user"]
    tries: list[int] = []
    # other work on the machine makes the wall longer, so the best of three counts
    while len(tries) < 3 and min(tries, default=5000) >= 5000:
        done = subprocess.run(
            [BROWSER, *flags, f"file://{copy}"], capture_output=True, text=True, timeout=120, check=True
        )
        found = re.search(r"<title>opened (\d+)</title>", done.stdout)
        assert found, "the page was opened"
        tries.append(int(found[1]))
    case("the report of 102 samples opens", "within 5 s", f"{min(tries) / 1000:.1f} s")
    assert min(tries) < 5000, f"{tries} ms"
