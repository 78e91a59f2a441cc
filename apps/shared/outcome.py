"""How a run ended: whether it stopped early, which epoch was best, and whose network was tested."""

from __future__ import annotations

import math
from typing import Any

from apps.classify.options import Settings


def outcome(history: list[dict[str, Any]], settings: Settings) -> dict[str, Any]:
    """What run.json says of it.

    Args:
        history: one dict per epoch: epoch, loss and, where there was a validation, val_loss.
        settings: epochs, early_stopping, keep.

    Returns:
        epochs: how many there were; best_epoch: the number of the one with the lowest validation
        loss; tested_epoch: of that whose network was tested; stopped_early: why there were fewer
        epochs than asked for, None if there were not.
    """
    epochs, best = len(history), best_epoch(history)
    why = None
    if epochs < settings.epochs and has_waited(history, settings):
        why = f"{counted(epochs - best)} without a better {monitored(history)[1]}"
    return {
        "epochs": epochs,
        "best_epoch": best,
        "tested_epoch": best if settings.keep == "best" else epochs,
        "stopped_early": why,
    }


def sentences(outcome: dict[str, Any]) -> list[str]:
    """What is said of a run that did not simply test the network of its last epoch."""
    tested, epochs = outcome["tested_epoch"], outcome["epochs"]
    why = outcome["stopped_early"]
    if why is None and tested == epochs:
        return []
    last = ", the last one" if tested == epochs else ""
    said = [f"tested: the network of epoch {tested}{last}"]
    return said if why is None else [f"stopped early: {why}", *said]


def why_no_further(history: list[dict[str, Any]], settings: Settings) -> str:
    """Why a run that is resumed trains no further, and what would let it."""
    how, epochs = outcome(history, settings), len(history)
    if how["stopped_early"] is None:
        return f"all {counted(epochs)} are done; --epochs N with N above {epochs} trains further"
    waited = epochs - how["best_epoch"]
    return (
        f"the run stopped early, after epoch {epochs}: {how['stopped_early']}. It trains no "
        f"further; --early-stopping N with N above {waited} goes on from there"
    )


def has_waited(history: list[dict[str, Any]], settings: Settings) -> bool:
    """Whether early stopping ends a run here."""
    patience = settings.early_stopping
    return patience is not None and len(history) - best_epoch(history) >= patience


def best_epoch(history: list[dict[str, Any]]) -> int:
    """The number of the epoch with the lowest monitored loss, the first of them; 0 for none."""
    name = monitored(history)[0]
    known = [(entry[name], entry["epoch"]) for entry in history if not math.isnan(entry[name])]
    return min(known, default=(0.0, 0))[1]


def monitored(history: list[dict[str, Any]]) -> tuple[str, str]:
    """The metric that decides which epoch is best, and what it is called."""
    if history and "val_loss" in history[-1]:
        return "val_loss", "validation loss"
    return "loss", "training loss"  # too few pictures to hold some out


def counted(epochs: int) -> str:
    """1 epoch, 2 epochs."""
    return f"{epochs} epoch{'' if epochs == 1 else 's'}"
