"""Reads what the steps left for the report; only the samples and their QC must be there."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cartox import cli, columns
from cartox.report.page import records

if TYPE_CHECKING:
    import pandas as pd

TEXT = ("contrast", "kind", "cell_type", "feature", "family", "n_per_group", "note")
TEXT += ("analyte", "timepoint", "group", "coefficient", "covariates")

LOADINGS = ("stratum", "factor", "mode", "name")  # the text columns of tensor_loadings.csv


@dataclass
class Inputs:
    """All tables of one run; what was not asked or not made is an empty frame, list or mapping."""

    samples: pd.DataFrame
    qc: list[dict[str, Any]]
    qc_cells: pd.DataFrame
    cells: pd.DataFrame
    clinical: pd.DataFrame
    analytes: pd.DataFrame
    features: pd.DataFrame
    dotplot: pd.DataFrame
    cluster_markers: pd.DataFrame
    associations: pd.DataFrame
    by_patient: pd.DataFrame
    calibration: pd.DataFrame
    correlations: pd.DataFrame
    doublets: list[dict[str, Any]] = field(default_factory=list)
    ambient: list[dict[str, Any]] = field(default_factory=list)
    contrasts: dict[str, dict[str, Any]] = field(
        default_factory=dict
    )  # in the order in which they were asked
    ranks: dict[str, pd.DataFrame] = field(default_factory=dict)
    tensor: dict[str, Any] = field(default_factory=dict)
    programmes: list[dict[str, Any]] = field(default_factory=list)  # rows of tensor_loadings.csv
    checks: dict[str, Any] = field(default_factory=dict)
    annotate: dict[str, Any] = field(default_factory=dict)
    integration: dict[str, Any] = field(default_factory=dict)
    harmony: dict[str, Any] = field(default_factory=dict)
    reference: dict[str, Any] = field(default_factory=dict)
    params: dict[str, Any] = field(default_factory=dict)
    run: dict[str, Any] = field(default_factory=dict)  # command, version, nextflow
    versions: list[tuple[str, str]] = field(default_factory=list)
    note: str = ""
    remarks: list[str] = field(default_factory=list)

    @property
    def fdr(self) -> float:
        """The level below which q is called a finding."""
        return float(self.params.get("fdr") or 0.05)

    @property
    def passed(self) -> tuple[int, int]:
        """Barcodes that passed quality control, and all."""
        return sum(q["n_kept"] for q in self.qc), sum(q["n_barcodes"] for q in self.qc)

    def clinical_columns(self) -> list[str]:
        """The clinical columns that a contrast uses: no others appear in the report."""
        return self._asked([c for c in self.clinical.columns if c != "patient"])

    def kinds(self) -> pd.DataFrame:
        """What tells samples of one patient and time point apart: a row for each sample, by its name.

        The columns that do (tissue, sort), of those that a contrast uses; none where a visit is one sample.
        """
        visits = self.samples.groupby(["patient", "timepoint"])
        asked = self._asked([c for c in self.samples.columns if c not in columns.SAMPLES])
        return self.samples.set_index("sample")[[c for c in asked if visits[c].nunique().max() > 1]]

    def kind_names(self) -> dict[str, str]:
        """`marrow, unsorted` by sample; all of it '' where a visit is one sample."""
        return {str(s): ", ".join(filter(None, values)) for s, *values in self.kinds().itertuples()}

    def _asked(self, known: list[str]) -> list[str]:
        import re

        asked = " ".join(
            f"{c.get('formula', '')} {c.get('term', '')} {' '.join(c.get('where') or {})}"
            for c in self.contrasts.values()
        )
        return [c for c in known if re.search(rf"(?<![\w.]){re.escape(c)}(?![\w.])", asked)]


def read(folder: Path, per_sample: int = 1000) -> Inputs:
    """All inputs of the report, from one folder of files named as the steps name them.

    Args:
        folder: holds samples.csv, *.qc.json and what else was made.
        per_sample: cells of each sample kept for the QC distributions.

    Raises:
        InputError: where samples.csv or the QC summaries are absent.
    """
    import pandas as pd

    if not (folder / "samples.csv").exists() or not any(folder.glob("*.qc.json")):
        raise cli.InputError("The report needs samples.csv and the samples' .qc.json among its inputs.")

    def frame(name: str, empty: list[str] | None = None, **options: Any) -> pd.DataFrame:
        path = folder / name
        if not path.exists():
            return pd.DataFrame(columns=empty)
        if path.suffix == ".parquet":
            table = pd.read_parquet(path)
            coded = table.select_dtypes("category").columns
            return table.astype(dict.fromkeys(coded, str))
        return pd.read_csv(path, **options)

    def frames(pattern: str, empty: list[str]) -> pd.DataFrame:
        tables = [frame(p.name, empty, **_text(p)) for p in sorted(folder.glob(pattern))]
        tables = [t for t in tables if len(t)]
        return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=empty)

    text = {"dtype": str, "keep_default_na": False}
    correlations = frame("correlations.csv", columns.CORRELATIONS, **_text(folder / "correlations.csv"))
    contrasts = [_json(p) for p in sorted(folder.glob("*.contrast.json"))]
    associations = frames("*.associations.csv", columns.ASSOCIATIONS)
    declared = set(associations.loc[associations["family"] == "primary", "contrast"])
    checks = _json(folder / "checks.json")
    remarks = [*checks.get("warnings", []), *_json(folder / "merge.json").get("warnings", [])]
    integration = _json(folder / "integration.json")
    remarks += integration.get("warnings", [])
    harmony = _json(folder / "harmony.json")
    remarks += [note] if (note := harmony.get("note")) else []
    place = {key: i for i, key in enumerate(checks.get("contrasts") or [])}
    contrasts.sort(key=lambda c: (place.get(c["id"], len(place)), c["id"] not in declared, c["id"]))
    params = _json(folder / "params.json")
    # with those of the report itself, which is made when all other steps have told theirs
    versions = set(frame("versions.csv", header=None, **text).itertuples(index=False, name=None))
    versions |= {(name, metadata.version(name)) for name in ("matplotlib", "multiqc")}
    return Inputs(
        samples=frame("samples.csv", **text),
        qc=sorted((_json(p) for p in folder.glob("*.qc.json")), key=lambda q: q["sample"]),
        qc_cells=_qc_cells(folder, per_sample),
        cells=_cells(frame("cells.parquet"), frame("layout.parquet"), frame("annotation.parquet")),
        clinical=frame("clinical.csv", ["patient"], **text),
        analytes=frame("analytes.csv", columns.ANALYTES, **text),
        features=frame("features.parquet"),
        dotplot=frame("dotplot.csv", keep_default_na=False),
        cluster_markers=frame("cluster_markers.csv", keep_default_na=False, dtype={"cluster": str}),
        associations=associations,
        by_patient=frames("*.values.parquet", columns.VALUES),
        calibration=frames("*.calibration.csv", columns.CALIBRATION),
        correlations=correlations,
        ambient=sorted((_json(p) for p in folder.glob("*.ambient.json")), key=lambda a: a["sample"]),
        doublets=sorted((_json(p) for p in folder.glob("*.doublets.json")), key=lambda d: d["group"]),
        contrasts={c["id"]: c for c in contrasts},
        ranks={p.name.removesuffix(".rank.csv"): pd.read_csv(p) for p in sorted(folder.glob("*.rank.csv"))},
        tensor=_json(folder / "tensor.json"),
        programmes=records(
            frame("tensor_loadings.csv", keep_default_na=False, dtype=dict.fromkeys(LOADINGS, str))
        ),
        checks=checks,
        remarks=remarks,
        annotate=_json(folder / "annotate.json"),
        integration=integration,
        harmony=harmony,
        reference=_json(folder / "reference.json"),
        params=params,
        run=_json(folder / "run.json"),
        versions=sorted(versions),
        note=str(params.get("report_note") or ""),
    )


def _text(path: Path) -> dict[str, Any]:
    """How to read a result table: names stay text (a gene or a group may be called NA)."""
    if path.suffix == ".parquet" or not path.exists():
        return {}
    header = path.open().readline().strip().split(",")
    numbers = [c for c in header if c not in TEXT]
    missing = ["", "NA", "NaN", "nan"]
    return {
        "dtype": {c: str for c in TEXT if c in header},
        "keep_default_na": False,
        "na_values": dict.fromkeys(numbers, missing),
    }


def _json(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text()) if path.exists() else {}


def _qc_cells(folder: Path, per_sample: int) -> pd.DataFrame:
    import pandas as pd

    used = ["sample", "n_counts", "n_genes", "pct_mito", "kept", "reason"]
    tables = []
    for path in sorted(folder.glob("*.cells.csv.gz")):
        table = pd.read_csv(path, usecols=used, keep_default_na=False, dtype={"sample": str, "reason": str})
        for name in ("n_counts", "n_genes", "pct_mito"):
            table[name] = pd.to_numeric(table[name], errors="coerce")
        tables.append(table.sample(per_sample, random_state=0) if len(table) > per_sample else table)
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=used)


def _cells(cells: pd.DataFrame, layout: pd.DataFrame, annotation: pd.DataFrame) -> pd.DataFrame:
    """One row per cell with place and type; the three tables share their order of rows.

    Raises:
        InputError: where they do not.
    """
    import pandas as pd

    key = ["sample", "barcode"]
    out = cells
    for name, other in (("layout", layout), ("annotation", annotation)):
        if not len(other):
            continue
        if len(other) != len(cells) or not (other[key].to_numpy() == cells[key].to_numpy()).all():
            raise cli.InputError(f"{name}.parquet does not list the cells of cells.parquet in their order.")
        out = pd.concat([out, other.drop(columns=[c for c in other if c in out])], axis=1)
    return out
