"""How a run ended: whether it stopped early, which epoch was best, and whose network was tested."""

from __future__ import annotations

import math
from typing import Any

from minidl.training.metrics import lower_is_better


def outcome(
    history: list[dict[str, Any]], epochs: int, early_stopping: int | None, keep: str, monitor: str
) -> dict[str, Any]:
    """What run.json says about the end of a run.

    Args:
        history: one dict per epoch: its number as "epoch", and its metrics.
        epochs: how many the run was to have.
        early_stopping: the run stops after so many epochs without a better one; or None.
        keep: "best" or "last", the epoch whose network is tested.
        monitor: the metric that decides which epoch is best, such as "val_loss".

    Returns:
        epochs: how many there were; best_epoch: the number of the best one; tested_epoch: the
        number of the one whose network was tested; stopped_early: why there were fewer epochs than
        asked for, None if there were not.
    """
    done, best = len(history), best_epoch(history, monitor)
    why = None
    if done < epochs and has_waited(history, early_stopping, monitor):
        why = f"{counted(done - best)} without a better {spoken(monitor)}"
    return {
        "epochs": done,
        "best_epoch": best,
        "tested_epoch": best if keep == "best" else done,
        "stopped_early": why,
    }


def sentences(found: dict[str, Any]) -> list[str]:
    """What is said about a run that did not simply test the network of its last epoch.

    Args:
        found: from outcome.
    """
    tested, epochs = found["tested_epoch"], found["epochs"]
    why = found["stopped_early"]
    if why is None and tested == epochs:
        return []
    last = ", the last one" if tested == epochs else ""
    said = [f"tested: the network of epoch {tested}{last}"]
    return said if why is None else [f"stopped early: {why}", *said]


def why_no_further(
    history: list[dict[str, Any]], epochs: int, early_stopping: int | None, monitor: str
) -> str:
    """Why a resumed run trains no further, and what would let it; arguments as of outcome."""
    found, done = outcome(history, epochs, early_stopping, "last", monitor), len(history)
    if found["stopped_early"] is None:
        return f"all {counted(done)} are done; --epochs N with N above {done} trains further"
    waited = done - found["best_epoch"]
    return (
        f"the run stopped early, after epoch {done}: {found['stopped_early']}. It trains no "
        f"further; --early-stopping N with N above {waited} goes on from there"
    )


def has_waited(history: list[dict[str, Any]], early_stopping: int | None, monitor: str) -> bool:
    """Whether early stopping ends a run here."""
    if early_stopping is None:
        return False
    return len(history) - best_epoch(history, monitor) >= early_stopping


def best_epoch(history: list[dict[str, Any]], monitor: str) -> int:
    """The number of the best epoch, the first of several; 0 for none."""
    sign = 1 if lower_is_better(monitor) else -1
    known = [(sign * e[monitor], e["epoch"]) for e in history if not math.isnan(e[monitor])]
    return min(known, default=(0.0, 0))[1]


def spoken(monitor: str) -> str:
    """A metric in a sentence: "val_loss" is the validation loss."""
    part, name = (
        ("validation", monitor[4:]) if monitor.startswith("val_") else ("training", monitor)
    )
    return f"{part} {name.replace('_', ' ')}"


def counted(epochs: int) -> str:
    """1 epoch, 2 epochs."""
    return f"{epochs} epoch{'' if epochs == 1 else 's'}"


# --- what an interrupted run had done -----------------------------------------------------------


def trains_no_further(
    run: dict[str, Any], epochs: int, early_stopping: int | None, monitor: str
) -> str | None:
    """Why a run has nothing left to do: all its epochs are done, or it stopped early.

    Args:
        run: what its checkpoint says about it.
        epochs, early_stopping, monitor: as of outcome.

    Returns:
        a sentence for the user; None where there is something left to do, or the checkpoint is
        damaged: going on with it will say so.
    """
    try:
        history = run["history"]
        stopped = run["stop"] and has_waited(history, early_stopping, monitor)
        if len(history) < epochs and not stopped:
            return None
        return why_no_further(history, epochs, early_stopping, monitor)
    except (LookupError, TypeError):
        return None


def seconds_spent(run: dict[str, Any]) -> float:
    """Seconds of training before an interruption; 0 where the checkpoint is damaged."""
    try:
        return sum(epoch["seconds"] for epoch in run["history"]) + run["totals"]["seconds"]
    except (LookupError, TypeError):
        return 0.0


def images_per_second(history: list[dict[str, Any]]) -> float:
    """Training pictures per second of training, over all epochs."""
    seconds = sum(epoch["seconds"] for epoch in history)
    count = sum(epoch["seconds"] * epoch["images_per_second"] for epoch in history)
    return round(count / seconds, 1) if seconds else 0.0
