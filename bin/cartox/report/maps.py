"""Pictures of every cell: dots painted into an indexed image, quick for a million of them too."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from cartox.report.figures import framed_svg
from cartox.report.page import esc

if TYPE_CHECKING:
    import numpy as np

WIDE, HIGH = 1000, 800  # pixels of the image, twice those on the page


def picture(
    xy: np.ndarray,
    codes: np.ndarray,
    colours: Sequence[str],
    named: Sequence[tuple[str, float, float]],
    title: str,
    alt: str,
) -> str:
    """A map as a figure of the page.

    Args:
        xy: place of each cell; later ones lie on top.
        codes: index of each cell's colour.
        colours: as #rrggbb.
        named: texts on the map with their places.
        title: above the map.
        alt: what it shows, for those who cannot see it.
    """
    import numpy as np

    low, high = xy.min(axis=0), xy.max(axis=0)
    pad = 0.03 * np.maximum(high - low, 1e-9)
    low, scale = low - pad, (WIDE - 1, HIGH - 1) / (np.maximum(high - low, 1e-9) + 2 * pad)

    def place(points: Any) -> np.ndarray:
        moved = (np.asarray(points) - low) * scale
        return np.column_stack([moved[:, 0], HIGH - 1 - moved[:, 1]])

    image = _image(place(xy).round().astype(int), codes, colours)
    across, up = WIDE // 2, HIGH // 2
    texts = "".join(
        f'<text class="cx-name" x="{x:.0f}" y="{y + 20:.0f}">{esc(text)}</text>'
        for text, x, y in _apart(
            [n[0] for n in named], place([n[1:] for n in named]) / 2 if named else np.zeros((0, 2)), across
        )
    )
    svg = (
        f'<svg viewBox="0 0 {across} {up + 20}" xmlns="http://www.w3.org/2000/svg">'
        f'<text class="cx-title" x="{across // 2}" y="13">{esc(title)}</text>'
        f'<image y="20" width="{across}" height="{up}" href="data:image/png;base64,{image}"/>'
        f'<rect x=".5" y="20" width="{across - 1}" height="{up - 1}"/>{texts}</svg>'
    )
    return framed_svg(svg, alt, across, 0, paper=True)


def _apart(texts: Sequence[str], at: np.ndarray, across: int) -> list[tuple[str, float, float]]:
    """The texts inside the map and moved down until none covers another."""
    out: list[tuple[str, float, float]] = []
    for text, (x, y) in sorted(zip(texts, at.tolist(), strict=True), key=lambda each: each[1][1]):
        half = 3.1 * len(text)
        x = min(max(x, half + 2), across - half - 2)
        while any(abs(x - ox) < half + 3.1 * len(o) and abs(y - oy) < 13 for o, ox, oy in out):
            y += 2
        out.append((text, x, y))
    return out


def _image(at: np.ndarray, codes: np.ndarray, colours: Sequence[str]) -> str:
    """The dots as an indexed PNG in base64; index 0 is the ground, which stays clear."""
    import numpy as np
    from PIL import Image

    distinct = list(dict.fromkeys(colours))
    index = np.array([distinct.index(c) + 1 for c in colours], dtype=np.uint8)[codes]
    radius = float(np.clip(np.sqrt(60_000 / max(len(at), 1)), 0.5, 4))
    reach = int(radius)
    steps = np.arange(-reach, reach + 1)
    dots = [(dx, dy) for dx in steps for dy in steps if dx * dx + dy * dy <= radius * radius]
    # the cell that lies on top at each pixel: the last whose dot covers it
    top = np.full((HIGH, WIDE), -1, dtype=np.int32)
    order = np.arange(len(at), dtype=np.int32)
    for dx, dy in dots:
        x, y = (np.clip(at[:, i] + d, 0, most - 1) for i, d, most in ((0, dx, WIDE), (1, dy, HIGH)))
        layer = np.full_like(top, -1)
        layer[y, x] = order
        top = np.maximum(top, layer)
    ground = np.where(top >= 0, index[top], 0).astype(np.uint8)
    image = Image.fromarray(ground, "P")
    image.putpalette([0, 0, 0, *(int(c[i : i + 2], 16) for c in distinct for i in (1, 3, 5))])
    out = io.BytesIO()
    image.save(out, "png", optimize=True, transparency=0, bits=4 if len(distinct) < 16 else 8)
    return base64.b64encode(out.getvalue()).decode()
