"""Puts the chapters together and has MultiQC make one page of them."""

from __future__ import annotations

import contextlib
import io
import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from cartox import cpus
from cartox.report import (
    associations,
    car,
    cells,
    cohort,
    composition,
    figures,
    findings,
    manuscript,
    methods,
    molecules,
    serum,
)
from cartox.report.labels import Names, cell_type_names
from cartox.report.page import SORT, Chapter, esc

if TYPE_CHECKING:
    from cartox.report.inputs import Inputs


# The first thing that Tab reaches: the side bar has many links.
SKIP = '<a class="cx-skip" href="#mqc-module-section-findings">Skip to the findings</a>'


# Parts of MultiQC's page that a screen reader can jump to.
LANDMARKS = {"mainpage": "main", "side-nav-wrapper sticky-top": "navigation"}


def chapters(inputs: Inputs, markers: Path | None, top: int) -> list[Chapter]:
    """All chapters in the order in which they are read; those with nothing to show are left out.

    Drawing takes most of the time of a report, so chapters are made side by side, in processes that share the
    tables with this one.

    Args:
        inputs: the run's tables.
        markers: marker table with display names of cell types.
        top: rows shown per family in long tables.

    Raises:
        MemoryError: where a process was killed, as the system does when memory runs out.
    """
    import matplotlib.figure  # and its fonts, once for all processes

    matplotlib.rcParams |= figures.SETTINGS
    names = Names(cell_type_names(markers))
    makers = [
        lambda: findings.chapter(inputs, names),
        lambda: associations.chapter(inputs, names, top),
        lambda: cohort.cohort(inputs),
        lambda: cohort.quality(inputs),
        lambda: cells.chapter(inputs, names),
        lambda: associations.pathways(inputs, names),
        lambda: molecules.ligrec(inputs, names, top),
        lambda: composition.chapter(inputs, names),
        lambda: car.chapter(inputs),
        lambda: serum.chapter(inputs, names, top),
        lambda: methods.calibration(inputs),
        lambda: manuscript.chapter(inputs),
        lambda: methods.run(inputs),
    ]
    made = [make() for make in makers] if cpus.available() == 1 else _side_by_side(makers)
    return [chapter for chapter in made if chapter is not None]


def _side_by_side(makers: Sequence[Callable[[], Chapter | None]]) -> list[Chapter | None]:
    """What the makers give, in their order, from processes that were forked off."""
    with cpus.forked(lambda place: makers[place]()) as submit:
        # from the end, as the longest is among the last
        waiting = {place: submit(place) for place in reversed(range(len(makers)))}
        import multiqc  # noqa: F401  # two seconds, while the others draw

        return [waiting[place].result() for place in sorted(waiting)]


def write_sections(made: Sequence[Chapter], inputs: Inputs, folder: Path) -> None:
    """Write MultiQC's custom content, one JSON file per section, and what orders it.

    `order.yml` is a MultiQC configuration: the order of chapters and sections, and the note that heads
    the page.
    """
    import yaml

    folder.mkdir(parents=True, exist_ok=True)
    order: dict[str, dict[str, int]] = {}
    place = 0
    for chapter in made:
        for section in chapter.sections:
            place += 1
            key = f"{chapter.id}_{section.id}" if section.id == chapter.id else section.id
            order[key] = {"order": place}
            first = SORT if place == 1 else ""
            document = {
                "id": key,
                "parent_id": chapter.id,
                "parent_name": chapter.name,
                "parent_description": esc(chapter.description),
                "section_name": section.name,
                "description": esc(section.description),
                "plot_type": section.plot_type,
                **section.config,
                "data": section.data + first if section.plot_type == "html" else section.data,
            }
            if "pconfig" in document:
                document["pconfig"] = {"id": f"{key}_plot", **document["pconfig"]}
            (folder / f"{place:02d}_{chapter.id}_mqc.json").write_text(json.dumps(document, allow_nan=False))
    settings = {
        "report_comment": esc(inputs.note) or None,
        "custom_content": {"order": [c.id for c in made]},
        "report_section_order": order,
    }
    (folder / "order.yml").write_text(yaml.safe_dump(settings, sort_keys=False))
    listed = {"Libraries": dict(inputs.versions)}
    (folder / "cartox_mqc_versions.yml").write_text(yaml.safe_dump(listed))


def render(folder: Path, config: Path, css: Path | None, page: Path) -> None:
    """Run MultiQC over the sections.

    Raises:
        RuntimeError: with MultiQC's messages, where it fails.
    """
    import multiqc
    from multiqc.core.update_config import ClConfig

    page = page.resolve()
    settings = ClConfig(
        # as text, not as files: these MultiQC would hold against its schema, which takes a second
        cl_config=[path.read_text() for path in (config, folder / "order.yml")],
        run_modules=["custom_content"],
        custom_css_files=[str(css.resolve())] if css else [],
        output_dir=str(page.parent),
        filename=page.name,
        force=True,
        make_data_dir=False,
        no_version_check=True,
        no_ai=True,
        quiet=True,
        no_ansi=True,
    )
    messages = io.StringIO()
    with contextlib.redirect_stderr(messages), contextlib.redirect_stdout(messages):
        result = multiqc.run(str(folder), cfg=settings)
    if result.sys_exit_code != 0 or not page.exists():
        raise RuntimeError(f"MultiQC failed: {result.message}\n{messages.getvalue()}")
    # MultiQC writes every section a second time, as material for language models
    copy = re.compile(r'(aiReportMetadataBase64 = ")[^"]*')
    html = copy.sub(r"\g<1>e30=", page.read_text())
    # scripts hold the words, too
    html = re.sub(r"</head>\s*<body>\s*<", lambda body: f"{body[0][:-1]}{SKIP}<", html, count=1)
    for name, role in LANDMARKS.items():
        html = html.replace(f'<div class="{name}">', f'<div class="{name}" role="{role}">', 1)
    page.write_text(html)
