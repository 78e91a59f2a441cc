"""All transforms under one name, and pipelines from and to JSON.

Written in four files: transform.py (what a transform is, Compose, ToFloat, Normalize),
transform_geometry.py (resize, crop, pad, flip, erase), transform_color.py (jitter, lighting), and
this one.
"""

from __future__ import annotations

from typing import Any

from minidl.data.transform import Compose, Normalize, ToFloat, Transform
from minidl.data.transform_color import ColorJitter, Grayscale, PCALighting, ToRGB
from minidl.data.transform_geometry import (
    CenterCrop,
    Pad,
    RandomCrop,
    RandomErasing,
    RandomHorizontalFlip,
    RandomResizedCrop,
    Resize,
)
from minidl.errors import ArgumentError, nearest

# A file can name these and nothing else.
KNOWN = {
    kind.__name__: kind
    for kind in (
        CenterCrop, ColorJitter, Grayscale, Normalize, Pad, PCALighting, RandomCrop,
        RandomErasing, RandomHorizontalFlip, RandomResizedCrop, Resize, ToFloat, ToRGB,
    )
}  # fmt: skip

__all__ = [*sorted(KNOWN), "Compose", "Transform", "from_config"]


def from_config(config: list[dict[str, Any]]) -> Compose:
    """The pipeline that Compose.config() described.

    Args:
        config: a list of {"name": ..., argument: value, ...}, as read from JSON.

    Raises:
        ArgumentError: no such transform or argument; names the nearest.

    >>> T = minidl.data.transforms
    >>> T.from_config([{"name": "Pad", "padding": 2}, {"name": "ToFloat"}]).config()[1]
    {'name': 'ToFloat'}
    """
    if not isinstance(config, list):
        raise ArgumentError("from_config", "expects a list of transforms", {"config": config})
    return Compose([build(entry) for entry in config])


def build(entry: Any) -> Transform:
    """One transform from its description."""
    if not isinstance(entry, dict) or not isinstance(entry.get("name"), str):
        raise ArgumentError(
            "from_config", 'a transform is described by {"name": ..., ...}', {"entry": entry}
        )
    if entry["name"] not in KNOWN:
        raise ArgumentError(
            "from_config", "no such transform", {"name": entry["name"]},
            nearest(entry["name"], KNOWN),
        )  # fmt: skip
    kind = KNOWN[entry["name"]]
    arguments = {name: value for name, value in entry.items() if name != "name"}
    for name in arguments:
        if name not in kind.arguments:
            raise ArgumentError(
                "from_config", f"{kind.__name__} has no argument {name!r}", {"entry": entry},
                nearest(name, kind.arguments) if kind.arguments else "it takes none",
            )  # fmt: skip
    try:
        return kind(**arguments)
    except TypeError as error:  # an argument without default is missing
        raise ArgumentError("from_config", str(error), {"entry": entry}) from None
