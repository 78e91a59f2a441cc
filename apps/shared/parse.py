"""Parsers of typed values: "name=value", "a,b,c", paths. Each can be the `parse` of an option."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterable
from typing import Any

from apps.shared.options import Option


def pairs(option: Option, texts: Iterable[str]) -> dict[str, str]:
    """["a=1", "b=2"] as {"a": "1", "b": "2"}.

    Raises:
        OptionError: one has no "=" or no name, or a name comes twice.
    """
    found: dict[str, str] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name or not value:
            raise option.refuse(f"{option.flag} is NAME=VALUE", text)
        if name in found:
            raise option.refuse(f"{option.flag} names {name} twice", text)
        found[name] = value
    return found


def factors(option: Option, texts: Iterable[str]) -> dict[str, float]:
    """["features=0.1"] as {"features": 0.1}; factors are finite and >= 0.

    Raises:
        OptionError
    """
    return {name: factor(option, name, value) for name, value in pairs(option, texts).items()}


def factor(option: Option, name: str, text: str) -> float:
    """A number >= 0, the factor of `name`."""
    try:
        found = float(text)
    except ValueError:
        found = math.nan
    if not 0 <= found < math.inf:
        rule = f"{option.flag} is NAME=FACTOR with a factor of at least 0"
        raise option.refuse(rule, f"{name}={text}")
    return found


def literals(option: Option, texts: Iterable[str]) -> dict[str, Any]:
    """["shortcut=B", "width=0.5"] as {"shortcut": "B", "width": 0.5}: JSON, or else text.

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


def as_literal(value: Any) -> str:
    """The text that stands for a value."""
    return value if isinstance(value, str) else json.dumps(value)


def names(option: Option, texts: str | Iterable[str]) -> list[str]:
    """["a,b", "c"] as ["a", "b", "c"]."""
    texts = [texts] if isinstance(texts, str) else texts
    return [part.strip() for text in texts for part in text.split(",") if part.strip()]


def ascending(option: Option, text: str) -> list[int]:
    """ "80,120" as [80, 120]: numbers of epochs.

    Raises:
        OptionError: they are not whole numbers of at least 1, each larger than the one before.
    """
    try:
        found = [int(part) for part in names(option, text)]
    except ValueError:
        found = []
    if not found or found[0] < 1 or found != sorted(set(found)):
        rule = f"{option.flag} are ascending numbers of epochs"
        raise option.refuse(rule, text, "as in 80,120")
    return found


def path_or_name(option: Option, text: str) -> str:
    """An existing path made absolute, so that runs resume from anywhere; else the text itself."""
    return os.path.abspath(text) if os.path.exists(text) else text
