"""Gene sets and signatures: those that ship, and the user's files."""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from cartox.cli import InputError
from cartox.sheets import LARGEST, text_of
from cartox.spreadsheet import harmless

if TYPE_CHECKING:
    import pandas as pd

# What `--gene_sets` may name; the files are in assets/gene_sets, whose README has sources and licences.
SHIPPED = {
    "hallmark": "hallmark.gmt",
    "reactome": "reactome_cytokines.gmt",
    "progeny": "progeny.tsv",
    "cytosig": "cytosig.tsv.gz",
}


def read_gmt(path: Path) -> pd.DataFrame:
    """Sets of a .gmt file (name, description, genes) with weight 1."""
    import pandas as pd

    rows, faults = [], []
    for number, line in enumerate(text_of(path).splitlines(), start=1):
        if not line.strip():
            continue
        fields = [field.strip() for field in line.split("\t")]
        name, genes = fields[0], [gene for gene in fields[2:] if gene]
        if not name or not genes:
            faults.append(
                f"{path.name}, line {number}: a set is a name, a description and genes, with tabs between"
            )
        rows += [(name, gene, 1.0) for gene in genes]
    if faults:
        raise InputError(faults)
    return pd.DataFrame(rows, columns=["source", "target", "weight"]).drop_duplicates()


def read_signature(path: Path) -> pd.DataFrame:
    """Signed weights of a tab-separated table with the columns source, target, weight."""
    import numpy as np
    import pandas as pd

    # read as text first: a file of another kind, or one that unpacks without end, is told as what it is
    text = _unpacked(path) if path.suffix == ".gz" else text_of(path)
    try:
        table = pd.read_csv(io.StringIO(text), sep="\t", index_col=False, keep_default_na=False, dtype=str)
    except ValueError as error:
        said = " ".join(str(error).split())
        raise InputError(f"{path.name}: it cannot be read as a table ({said}); save it again") from None
    wanted = ["source", "target", "weight"]
    if missing := [name for name in wanted if name not in table.columns]:
        raise InputError(
            f"{path.name}: no column {', '.join(missing)}; it needs {', '.join(wanted)}, tabs between"
        )
    table = table[wanted]
    table["weight"] = pd.to_numeric(table["weight"], errors="coerce").replace([np.inf, -np.inf], np.nan)
    faults = [
        f"{path.name}, row {row + 2}: the weight is not a number"
        for row in table.index[table["weight"].isna()][:5]
    ]
    twice = table[table.duplicated(["source", "target"])]
    faults += [
        f"{path.name}: {source} lists {gene} more than once"
        for source, gene in zip(twice["source"][:5], twice["target"][:5], strict=True)
    ]
    if faults:
        raise InputError(faults)
    return table


def _unpacked(path: Path) -> str:
    try:
        with gzip.open(path) as stream:
            data = stream.read(LARGEST + 1)
        if len(data) > LARGEST:
            raise InputError(
                f"{path.name}: it unpacks to more than {LARGEST // 10**6} MB, so it is no signature"
            )
        return data.decode("utf-8-sig")
    except (OSError, EOFError, ValueError, zlib.error) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path.name}: damaged or truncated ({error}); copy it again") from None


def load(wanted: Sequence[str], folder: Path) -> pd.DataFrame:
    """Sets by name (of SHIPPED, read from `folder`) or by file.

    Returns columns collection, source, target, weight. A file's collection is its name up to the first dot,
    or the shipped set's name where it is a copy of that file.
    Raises InputError with every fault: an unknown name, a malformed file, a set in two collections.
    """
    import pandas as pd

    names = {file: name for name, file in SHIPPED.items()}
    tables, faults = [], []
    for name in dict.fromkeys(wanted):
        path = folder / SHIPPED[name] if name in SHIPPED else Path(name)
        if not path.is_file():
            faults.append(
                f"--gene_sets {name}: no such file, and the sets that ship are {', '.join(SHIPPED)}"
            )
            continue
        try:
            table = read_gmt(path) if path.suffix == ".gmt" else read_signature(path)
        except InputError as error:
            faults += error.faults
            continue
        tables.append(table.assign(collection=names.get(path.name) or path.name.split(".")[0]))
    columns = ["collection", "source", "target", "weight"]
    net = pd.concat(tables)[columns] if tables else pd.DataFrame(columns=columns)
    # genes as the matrices' readers name them
    net[["source", "target"]] = net[["source", "target"]].map(harmless)
    owners = net.groupby("source")["collection"].nunique()
    faults += [f"--gene_sets: {name} is in more than one collection" for name in owners.index[owners > 1]]
    if faults:
        raise InputError(faults)
    return net.reset_index(drop=True)
