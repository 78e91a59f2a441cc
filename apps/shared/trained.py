"""A trained network with all that is needed to use it, from a run folder or a file.

Beside the weights, a checkpoint describes the network that they belong to (`description`), so that
`load_trained` can rebuild it.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import minidl
import models
from apps.shared.options import OptionError
from apps.shared.run_folder import BEST, find_checkpoint
from minidl.data import transforms
from minidl.errors import CheckpointError, MinidlError
from minidl.nn import Module

OP = "trained network"  # what errors begin with, unless a command says its own name


@dataclass
class Trained:
    """A network as a checkpoint describes it.

    Args:
        model: with its weights, in evaluation mode.
        name: of the network, as in models.names().
        classes: names, in the order of the outputs; [] where the outputs are no classes.
        preprocessing: what a picture goes through first.
        meta: everything the checkpoint holds beside the weights.
    """

    model: Module
    name: str
    classes: list[str]
    preprocessing: transforms.Compose
    meta: dict[str, Any]


def description(
    name: str, arguments: dict[str, Any], preprocessing: transforms.Compose, **more: Any
) -> dict[str, Any]:
    """What a checkpoint holds beside the weights, so that load_trained can rebuild the network.

    Args:
        name, arguments: of the network, as models.build takes them.
        preprocessing: as of Trained.
        more: what else the application needs: "settings" to resume a run; "classes" of a
            classifier, the vocabulary of a captioner, ...
    """
    steps = preprocessing.config()
    return {"model": name, "model_arguments": arguments, "preprocessing": steps, **more}


def load_trained(
    run: str,
    best: bool | None = None,
    kind: str = "trained network",
    needs: tuple[str, ...] = (),
) -> Trained:
    """The network of a run folder, or of a checkpoint file.

    Args:
        run: path of either.
        best: of a folder, the network of the best epoch (True) or of the last step (False); None
            for the one that training kept and reported.
        kind: what network is wanted, for errors.
        needs: keys that its checkpoint must have beside model, model_arguments and preprocessing.

    Raises:
        OptionError: best is given for a file.
        CheckpointError: none there, damaged, or of something else.
    """
    folder = Path(run)
    if best is not None and folder.is_file():
        flag = "--best" if best else "--last"
        raise OptionError(
            f"{flag} chooses in a run folder, and this is a file", {"run": run},
            f"leave out {flag}, or name the folder {folder.parent}",
        )  # fmt: skip
    path = find_checkpoint(run)
    if best:
        return load_best(path.with_name(BEST), kind, needs)
    checkpoint = minidl.io.load_checkpoint(path)
    kept_best = keeps_best(checkpoint.meta.get("settings") or {})
    if best is None and kept_best and folder.is_dir() and path.with_name(BEST).exists():
        return load_best(path.with_name(BEST), kind, needs)
    return build_trained(checkpoint, path, kind, needs)


def load_best(path: Path, kind: str, needs: tuple[str, ...]) -> Trained:
    """The network of the best epoch."""
    if not path.exists():
        raise CheckpointError(
            OP, f"the run has no {BEST}", {"run": str(path.parent)}, "--last takes the last step"
        )
    return build_trained(minidl.io.load_checkpoint(path), path, kind, needs)


def build_trained(checkpoint: Any, path: Path, kind: str, needs: tuple[str, ...]) -> Trained:
    """The network that a loaded checkpoint describes; `path` is for errors."""
    meta = checkpoint.meta
    lacks = [
        key for key in ("model", "model_arguments", "preprocessing", *needs) if key not in meta
    ]
    if lacks:
        raise CheckpointError(
            OP, f"the checkpoint is not one of a {kind}",
            {"path": str(path), "lacks": ", ".join(lacks)},
        )  # fmt: skip
    name, classes = meta["model"], list(meta.get("classes") or ())
    try:
        model = models.build(name, **meta["model_arguments"])
        model.load_state_dict(checkpoint.model)
        preprocessing = transforms.from_config(meta["preprocessing"])
    except (MinidlError, TypeError) as error:
        raise CheckpointError(
            OP, "the checkpoint does not fit this version of the network",
            {"path": str(path), "model": name, "reason": getattr(error, "rule", str(error))},
        ) from None  # fmt: skip
    return Trained(model.eval(), name, classes, preprocessing, meta)


# --- the weights that a run kept ----------------------------------------------------------------


def weight_file(source: str) -> str | Path:
    """The file of the weights that a run kept; another file, or a published name, is itself.

    Raises:
        CheckpointError: as kept_checkpoint.
    """
    # Unlike Path.is_dir, False for a name that is too long.
    return kept_checkpoint(source) if os.path.isdir(source) else source


def kept_checkpoint(run: str) -> Path:
    """The file of the network that a run kept and reported: of its best epoch, or the last step.

    Raises:
        CheckpointError: there is none, or it is damaged.
    """
    path = find_checkpoint(run)
    best = path.with_name(BEST)
    if not best.exists():
        return path
    settings = minidl.io.load_checkpoint(path).meta.get("settings") or {}
    return best if keeps_best(settings) else path


def keeps_best(settings: dict[str, Any]) -> bool:
    """Whether a run reports the network of its best epoch."""
    return settings.get("keep") == "best"
