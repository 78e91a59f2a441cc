"""The trained networks that come with minidl, by name: files of models/weights/trained.

Each is a checkpoint that says in its meta, as "kind", what it is for.
"""

from __future__ import annotations

import json
import os
from collections.abc import Collection
from pathlib import Path

import models
from minidl.errors import CheckpointError, nearest

TRAINED = Path(models.__file__).parent / "weights" / "trained"


def packaged_names(kinds: Collection[str]) -> list[str]:
    """The names of the networks of some kinds.

    Args:
        kinds: such as ["drawing"].
    """
    files = sorted(TRAINED.glob("*.safetensors"))
    return [path.stem.replace("_", "-") for path in files if kind_of(path) in kinds]


def packaged_file(source: str, kinds: Collection[str]) -> Path | None:
    """The file of a network that a user named; None where `source` is a path.

    Args:
        source: as typed.
        kinds: what the network may be for.

    Raises:
        CheckpointError: there is no such path or name.
    """
    if os.path.exists(source):
        return None
    names = packaged_names(kinds)
    if source not in names:
        hint = nearest(source, names) if names else ""
        raise CheckpointError("trained network", "no such file or name", {"name": source}, hint)
    return TRAINED / f"{source.replace('-', '_')}.safetensors"


def kind_of(path: Path) -> str | None:
    """What a checkpoint's meta says; only the head of the file is read."""
    from safetensors import safe_open

    with safe_open(path, "numpy") as file:
        content = json.loads((file.metadata() or {}).get("content", "{}"))
    return (content.get("meta") or {}).get("kind")
