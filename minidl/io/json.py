"""Strict JSON: what any reader accepts, NaN and infinities included."""

from __future__ import annotations

import json
import math
from typing import Any


def to_json(value: Any, **options: Any) -> str:
    """A value as JSON text, with null for NaN and infinities, which JSON does not have.

    Args:
        value: dicts, lists, text, numbers, bools and None, nested.
        options: those of json.dumps.

    Returns:
        The text.

    >>> from minidl.io.json import to_json
    >>> to_json({"loss": [0.5, float("nan")]})
    '{"loss": [0.5, null]}'
    """
    return json.dumps(without_nonfinite(value), allow_nan=False, **options)


def without_nonfinite(value: Any) -> Any:
    """The same lists and dicts, with None for each NaN and infinity."""
    if isinstance(value, dict):
        return {name: without_nonfinite(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [without_nonfinite(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
