"""Files of trained image transformation networks, and those that come with minidl.

A file is a checkpoint (minidl.io) with the weights as float16, half as large and for pictures as
good, and in its meta "kind", "arguments" of the network, "settings" of the training, "losses".
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import minidl
from apps.shared.packaged import packaged_file, packaged_names
from minidl.errors import CheckpointError, MinidlError
from minidl.nn import Module
from models.transform_net import SuperResolutionNet, TransformNet

OP = "fast style"
KINDS = {"fast style": TransformNet, "fast super-resolution": SuperResolutionNet}
STYLE, SUPER_RESOLUTION = KINDS


@dataclass
class FastModel:
    """A trained network.

    Args:
        net: in evaluation mode.
        kind: one of KINDS.
        meta: everything the file holds beside the weights.
    """

    net: Module
    kind: str
    meta: dict[str, Any]


def trained_names() -> list[str]:
    """The names of the networks that come with minidl."""
    return packaged_names(KINDS)


def load_fast(model: str, kind: str = STYLE) -> FastModel:
    """A network from a file, or one that comes with minidl by its name.

    Args:
        model: path or name.
        kind: what it has to be for.

    Raises:
        CheckpointError: no such file or name, damaged, or a network for something else.
    """
    path = packaged_file(model, KINDS) or Path(model)
    return fast_model(minidl.io.load_checkpoint(path), model, kind)


def fast_model(checkpoint: Any, model: str, kind: str) -> FastModel:
    """The network in a checkpoint; the other arguments are those of load_fast.

    Raises:
        CheckpointError: it is a network for something else, or of another version.
    """
    found = checkpoint.meta.get("kind")
    if found not in KINDS:
        raise CheckpointError(
            OP, "the file is not one of minidl style fast-train", {"model": model},
            "a run of minidl train is for minidl predict" if "model" in checkpoint.meta else "",
        )  # fmt: skip
    if found != kind:
        raise CheckpointError(
            OP, f"expects a network for {kind}", {"model": model, "trained for": found}
        )
    try:
        net = KINDS[found](**checkpoint.meta["arguments"])
        net.load_state_dict(checkpoint.model)
    except (MinidlError, TypeError, LookupError) as error:
        raise CheckpointError(
            OP, "the file does not fit this version of the network",
            {"model": model, "reason": getattr(error, "rule", str(error))},
        ) from None  # fmt: skip
    return FastModel(net.eval(), found, checkpoint.meta)


def save_fast(path: str | Path, net: Module, kind: str, meta: dict[str, Any]) -> None:
    """Write a trained network as load_fast reads it.

    Args:
        path: of the file.
        net: stays as it is.
        kind: one of KINDS.
        meta: "arguments" of the network, and whatever else is to be kept.

    Raises:
        CheckpointError: the file cannot be written.
    """
    copy = KINDS[kind](**meta["arguments"])
    copy.load_state_dict(net.state_dict())
    minidl.io.save_checkpoint(path, copy.to(dtype="float16"), meta={"kind": kind, **meta})
