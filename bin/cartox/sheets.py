"""Tables that people write: read strictly, every fault collected with its place and a remedy."""

from __future__ import annotations

import csv
import difflib
import io
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from cartox.cli import InputError

MISSING = frozenset(("", "NA"))
COLUMN = re.compile(r"^[A-Za-z_][A-Za-z0-9_]*$")
LARGEST = 50_000_000  # bytes of a sheet
MOST_COLUMNS = 2000
MOST_TOLD = 1000  # faults: beyond it they are counted
LONGEST = 4096  # characters of a cell
NOT_TEXT = {
    b"PK\x03\x04": "it is an Excel file or zip archive, whatever its name",
    b"\xd0\xcf\x11\xe0": "it is an Excel file, whatever its name",
    b"\xff\xfe": "it is UTF-16 text",
    b"\xfe\xff": "it is UTF-16 text",
    b"\x1f\x8b": "it is compressed (gzip)",
    b"\x89HDF": "it is an HDF5 file",
    b"%PDF": "it is a PDF file",
}
SAVE_AS = "save it as CSV UTF-8 (comma delimited)"


@dataclass
class Faults:
    """Faults, each a line `file, row N, column 'c': what is wrong; what to do`, and milder warnings."""

    lines: list[str] = field(default_factory=list)
    seen: set[str] = field(default_factory=set)
    warnings: list[str] = field(default_factory=list)

    def add(self, file: str, what: str, row: int | None = None, column: str | None = None) -> None:
        """A fault at a row of the sheet (the header is row 1) and a column."""
        self.line(place(file, row, column) + what)

    def line(self, line: str) -> None:
        """A fault as a whole line, told once."""
        if line not in self.seen:
            self.seen.add(line)
            self.lines.append(line)

    def told(self) -> list[str]:
        """All faults, or the first of very many and how many more there are."""
        more = len(self.lines) - MOST_TOLD
        return self.lines[:MOST_TOLD] + [f"and {more:,} more faults"] * (more > 0)

    def warn(self, file: str, what: str, row: int | None = None, column: str | None = None) -> None:
        """Something that does not stop the run but that its user should know."""
        self.warnings.append(place(file, row, column) + what)


def place(file: str, row: int | None = None, column: str | None = None) -> str:
    """Where a fault is: row of a sheet as a spreadsheet counts, line of a YAML file."""
    word, kind = ("line", "key") if Path(file).suffix in (".yml", ".yaml") else ("row", "column")
    parts = (
        [file] + [f"{word} {row}"] * (row is not None) + [f"{kind} {shown(column)}"] * (column is not None)
    )
    return ", ".join(parts) + ": "


def file_name(text: str) -> str:
    """A text as the name of a sample and of its files; empty where no letter or digit is left."""
    return re.sub(r"[^A-Za-z0-9._-]+", "_", text).lstrip("._-")


def shown(value: object) -> str:
    """A value quoted for a message: control characters escaped, cut at 60 characters."""
    text = str(value)
    return repr(text if len(text) <= 60 else text[:57] + "...")


def nearest(name: str, options: Iterable[str], few: int = 12) -> str:
    """A hint at the option most like a name, or at all of them where they are few, or nothing."""
    options = sorted(set(options))
    lower = {option.lower(): option for option in reversed(options)}
    close = difflib.get_close_matches(name.lower(), list(lower), n=1, cutoff=0.6)
    if close:
        return f"; did you mean {shown(lower[close[0]])}?"
    if 0 < len(options) <= few:
        return f"; there are {', '.join(map(shown, options))}"
    return ""


@dataclass
class Table:
    """A sheet as text. rows: column → value, '' where missing. numbers: the spreadsheet's row numbers."""

    name: str
    columns: list[str]
    rows: list[dict[str, str]]
    numbers: list[int]
    dropped: list[str] = field(default_factory=list)  # names of columns taken out, for hints at misspellings

    def values(self, column: str) -> list[str]:
        """The values of a column that are not missing."""
        return [row[column] for row in self.rows if row.get(column)]

    def numbered(self) -> Iterable[tuple[int, dict[str, str]]]:
        """Rows with their numbers."""
        return zip(self.numbers, self.rows, strict=True)

    def drop(self, column: str) -> None:
        """Take a column out."""
        self.columns.remove(column)
        self.dropped.append(column)
        for row in self.rows:
            del row[column]


def read_text(path: Path, faults: Faults, largest: int = LARGEST) -> str | None:
    """The text of a file, or None where it is none (the fault says what it is). largest: bytes."""
    if path.is_dir():
        faults.add(path.name, "it is a folder; give the file")
        return None
    if path.exists() and not path.is_file():
        faults.add(path.name, "it is no regular file; correct the path")
        return None
    if not path.is_file():
        faults.add(path.name, f"no such file{nearest(path.name, _siblings(path), few=0)}; correct the path")
        return None
    if path.stat().st_size > largest:
        what = f"it is larger than {largest // 1_000_000} MB, so it is not the file meant; correct the path"
        faults.add(path.name, what)
        return None
    try:
        data = path.read_bytes()
    except OSError as error:
        faults.add(path.name, f"it cannot be read ({error.strerror}); give yourself the right to read it")
        return None
    for start, words in NOT_TEXT.items():
        if data.startswith(start):
            faults.add(path.name, f"{words}; {SAVE_AS}")
            return None
    if not data.removeprefix(b"\xef\xbb\xbf").decode("latin-1").strip():
        faults.add(path.name, "it is empty; give the file with its content")
        return None
    if b"\0" in data:
        row = data[: data.index(b"\0")].count(b"\n") + 1
        faults.add(path.name, f"it holds NUL bytes, so it is not plain text; {SAVE_AS}", row)
        return None
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        row = data[: error.start].count(b"\n") + 1
        faults.add(path.name, f"it is not UTF-8 (byte {data[error.start]:#x}); {SAVE_AS}", row)
        return None


def text_of(path: Path, largest: int = LARGEST) -> str:
    """The text of a file of at most so many bytes. Raises InputError that says what it is instead."""
    faults = Faults()
    text = read_text(path, faults, largest)
    if text is None:
        raise InputError(faults.lines)
    return text


def _siblings(path: Path) -> list[str]:
    return [p.name for p in path.parent.iterdir()] if path.parent.is_dir() else []


def read_table(path: Path, faults: Faults) -> Table | None:
    """Read a comma-separated sheet; None where it cannot be used at all."""
    text = read_text(path, faults)
    if text is None:
        return None
    name = path.name
    if re.match(r"\s*<(!doctype|html)", text, re.IGNORECASE):
        return faults.add(name, f"it is an HTML page; {SAVE_AS}")
    first = re.split(r"[\r\n]", text.lstrip(), maxsplit=1)[0]
    for delimiter, word in ((";", "semicolons"), ("\t", "tabs"), ("|", "bars")):
        if "," not in first and delimiter in first:
            return faults.add(name, f"its columns are separated by {word}, not commas; {SAVE_AS}", 1)
    try:
        records = list(csv.reader(io.StringIO(text, newline=""), strict=True))
    except csv.Error as error:
        return faults.add(name, f"it cannot be read as CSV ({error}); look for a quote that is not closed")
    records = [[cell.strip() for cell in record] for record in records]
    start = next((i for i, record in enumerate(records) if any(record)), None)
    if start is None:
        return faults.add(name, "all its cells are empty; give the file with its content")
    header, width = records[start], len(records[start])
    while header and not header[-1]:
        header = header[:-1]
    if len(header) > MOST_COLUMNS:
        what = f"it has {len(header):,} columns, so it is not the sheet meant, or it lies on its side"
        return faults.add(name, f"{what}; give one with at most {MOST_COLUMNS:,}", start + 1)
    for column in sorted(column for column, times in Counter(header).items() if times > 1):
        faults.add(name, "two columns have this name; rename or remove one", start + 1, column)
    rows, numbers = [], []
    for number, record in enumerate(records[start + 1 :], start + 2):
        if not any(record):
            continue
        if len(record) not in (len(header), width) or any(record[len(header) :]):
            what = f"it has {len(record)} cells where the header has {len(header)}; add or remove commas"
            faults.add(name, f"{what}, and quote values that hold one", number)
            continue
        row = {c: "" if v in MISSING else v for c, v in zip(header, record, strict=False) if c}
        for column, value in row.items():
            if len(value) > LONGEST:
                faults.add(name, f"a cell of {len(value):,} characters; shorten it", number, column)
        rows.append(row)
        numbers.append(number)
    if "" in header:
        faults.add(name, f"column {header.index('') + 1} has no name; name or remove it", start + 1)
    if len(records) == start + 1:
        faults.add(name, "it has a header but no rows; add them")
    return Table(name, list(dict.fromkeys(c for c in header if c)), rows, numbers)
