"""Fixtures that all tests share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def shared() -> Callable[[str], Path]:
    """A file or folder of the shared data beside the checkout; the test skips where it is absent."""

    def find(relative: str) -> Path:
        path = ROOT.parent / "shared" / relative
        if not path.exists():
            pytest.skip(f"needs shared/{relative}")
        return path

    return find


@pytest.fixture
def case(request: pytest.FixtureRequest) -> Callable[[str, object, object], None]:
    """Record a case with what was expected and what was seen; record first, then assert.

    The table of all cases is printed when the tests are done, also when they ran side by side.
    """

    def record(name: str, expected: object, seen: object) -> None:
        suite = request.path.stem.removeprefix("test_")
        row = [suite, name, *(" ".join(str(text).split()) for text in (expected, seen))]
        request.node.user_properties.append(("case", row))

    return record


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the recorded cases: suite, case, expected, seen."""
    reports = [report for kind in ("passed", "failed") for report in terminalreporter.getreports(kind)]
    told = [(report.nodeid, report.user_properties) for report in reports if report.when == "call"]
    rows = [row for _, properties in sorted(told) for name, row in properties if name == "case"]
    if not rows:
        return
    terminalreporter.section("cases")
    rows = [("suite", "case", "expected", "seen"), *rows]
    limits = (14, 44, 60, 100)
    widths = [min(limit, max(len(row[i]) for row in rows)) for i, limit in enumerate(limits)]
    for row in rows:
        cut = [
            text if len(text) <= width else text[: width - 1] + "…"
            for text, width in zip(row, widths, strict=True)
        ]
        terminalreporter.write_line(
            " | ".join(text.ljust(width) for text, width in zip(cut, widths, strict=True)).rstrip()
        )
