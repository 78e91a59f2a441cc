"""The trained networks that come with minidl, by name: files of models/weights/trained.

Each is a checkpoint that says in its meta, as "kind", what it is for. Two kinds may have a
network of one name: flowers.safetensors draws flowers, flowers_captions.safetensors describes them.
"""

from __future__ import annotations

import json
import os
from collections.abc import Collection
from pathlib import Path
from typing import Any

import models
from minidl.errors import CheckpointError, nearest

TRAINED = Path(models.__file__).parent / "weights" / "trained"
ENDINGS = {"captioning": "_captions"}  # of the files of a kind, which are not part of the name


def packaged_names(kinds: Collection[str]) -> list[str]:
    """The names of the networks of some kinds.

    Args:
        kinds: such as ["drawing"].
    """
    return sorted(packaged_files(kinds))


def packaged_files(kinds: Collection[str]) -> dict[str, Path]:
    """The files of the networks of some kinds, by name."""
    found = {path: kind_of(path) for path in sorted(TRAINED.glob("*.safetensors"))}
    return {
        path.stem.removesuffix(ENDINGS.get(kind or "", "")).replace("_", "-"): path
        for path, kind in found.items()
        if kind in kinds
    }


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
    files = packaged_files(kinds)
    if source not in files:
        hint = nearest(source, files) if files else ""
        raise CheckpointError("trained network", "no such file or name", {"name": source}, hint)
    return files[source]


def without_folders(settings: dict[str, Any], names: Collection[str]) -> dict[str, Any]:
    """Settings as a file tells them to whoever gets it: files without the folders they were in.

    Args:
        settings: as run.json holds them.
        names: of those that may be paths.
    """
    return settings | {name: settings[name] and Path(settings[name]).name for name in names}


def kind_of(path: Path) -> str | None:
    """What a checkpoint's meta says; only the head of the file is read."""
    from safetensors import safe_open

    with safe_open(path, "numpy") as file:
        content = json.loads((file.metadata() or {}).get("content", "{}"))
    return (content.get("meta") or {}).get("kind")
