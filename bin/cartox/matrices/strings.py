"""Strings in HDF5: UTF-8 of a fixed length, and back."""

from __future__ import annotations

import numpy as np


def decoded(values: np.ndarray) -> np.ndarray:
    """Bytes as str. Raises UnicodeDecodeError where they are no UTF-8."""
    try:
        return values.astype(str)  # ASCII, as names nearly always are: a tenth of decoding's time
    except UnicodeDecodeError:
        return np.char.decode(values, "utf-8")


def encoded(values: np.ndarray) -> np.ndarray:
    """The same back: str as bytes."""
    try:
        return values.astype(bytes)
    except UnicodeEncodeError:
        return np.char.encode(values, "utf-8")
