"""Options that hold more than one value: "name=value", "a,b,c"."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from typing import Any

from minidl.errors import ArgumentError


def pairs(option: str, texts: Iterable[str]) -> dict[str, str]:
    """["a=1", "b=2"] as {"a": "1", "b": "2"}.

    Raises:
        ArgumentError: one has no "=" or no name, or a name comes twice.
    """
    found: dict[str, str] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name or not value:
            raise ArgumentError("train", f"{option} is NAME=VALUE", {option: text})
        if name in found:
            raise ArgumentError("train", f"{option} names {name} twice", {option: text})
        found[name] = value
    return found


def factors(option: str, texts: Iterable[str]) -> dict[str, float]:
    """["features=0.1"] as {"features": 0.1}; factors are finite and >= 0.

    Raises:
        ArgumentError
    """
    return {name: number(option, name, value) for name, value in pairs(option, texts).items()}


def number(option: str, name: str, value: str) -> float:
    """A factor >= 0."""
    try:
        factor = float(value)
    except ValueError:
        factor = math.nan
    if not 0 <= factor < math.inf:
        raise ArgumentError(
            "train", f"{option} is NAME=FACTOR with a factor of at least 0",
            {option: f"{name}={value}"},
        )  # fmt: skip
    return factor


def literals(option: str, texts: Iterable[str]) -> dict[str, Any]:
    """["shortcut=B", "width=0.5"] as {"shortcut": "B", "width": 0.5}: JSON where it is, else text.

    Python's True, False and None are understood, too.
    """
    return {name: literal(value) for name, value in pairs(option, texts).items()}


def literal(text: str) -> Any:
    """The value that a text stands for."""
    spoken = {"True": "true", "False": "false", "None": "null"}.get(text, text)
    try:
        value = json.loads(spoken)
    except ValueError:
        return text
    return value if not isinstance(value, float) or math.isfinite(value) else text


def names(texts: str | Iterable[str]) -> list[str]:
    """["a,b", "c"] as ["a", "b", "c"]."""
    texts = [texts] if isinstance(texts, str) else texts
    return [part.strip() for text in texts for part in text.split(",") if part.strip()]


def counts(option: str, text: str) -> list[int]:
    """ "80,120" as [80, 120]: whole numbers, at least 1, ascending.

    Raises:
        ArgumentError
    """
    try:
        found = [int(part) for part in names(text)]
    except ValueError:
        found = []
    if not found or found[0] < 1 or found != sorted(set(found)):
        raise ArgumentError(
            "train", f"{option} are ascending numbers of epochs", {option: text}, "as in 80,120"
        )
    return found
