"""Fixtures that all tests share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
CASES = pytest.StashKey[list[tuple[str, str, str, str]]]()


@pytest.fixture(scope="session")
def shared() -> Callable[[str], Path]:
    """A file or folder of the shared data beside the checkout; the test skips where it is absent."""

    def find(relative: str) -> Path:
        path = ROOT.parent / "shared" / relative
        if not path.exists():
            pytest.skip(f"needs shared/{relative}")
        return path

    return find


@pytest.fixture(scope="session")
def cases(request: pytest.FixtureRequest) -> list[tuple[str, str, str, str]]:
    """The table of cases that is printed when all tests are done."""
    return request.config.stash.setdefault(CASES, [])


@pytest.fixture
def case(
    request: pytest.FixtureRequest, cases: list[tuple[str, str, str, str]]
) -> Callable[[str, object, object], None]:
    """Record a case with what was expected and what was seen; record first, then assert."""

    def record(name: str, expected: object, seen: object) -> None:
        suite = request.path.stem.removeprefix("test_")
        cases.append((suite, name, *(" ".join(str(text).split()) for text in (expected, seen))))

    return record


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print the recorded cases: suite, case, expected, seen."""
    rows = config.stash.get(CASES, [])
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
