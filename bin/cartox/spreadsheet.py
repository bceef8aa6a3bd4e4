"""Text that a spreadsheet would run as a formula, made harmless where it enters: later joins agree."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

# what Excel, LibreOffice and Google Sheets take for the start of a formula (after OWASP, CSV injection)
STARTS = ("=", "+", "-", "@", "\t", "\r", "\uff1d", "\uff0b", "\uff0d", "\uff20")
NUMBER = re.compile(r"^[+-]?((\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|inf(inity)?|nan)$", re.IGNORECASE)


def harmless(text: str) -> str:
    """The text, with an apostrophe before it where a spreadsheet would run it; numbers stay as they are.

    Doing it twice changes nothing more.
    """
    return f"'{text}" if text.startswith(STARTS) and not NUMBER.match(text) else text


def all_harmless(names: np.ndarray) -> np.ndarray:
    """The same for an array of str; the array itself where nothing is to be done, as nearly always."""
    import numpy as np

    first = names.astype("U1").view(np.uint32)
    if not np.isin(first, [ord(start) for start in STARTS]).any():
        return names
    return np.array([harmless(name) for name in names.tolist()], dtype=str)
