"""Where the weights of a network came from, and which were trained: a section of report.html."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from minidl.nn import Module

MODES = {
    "scratch": "All weights began as random numbers.",
    "finetune": "Training began with the weights of a file, and changed them.",
    "frozen": "Training began with the weights of a file. Some layers keep theirs, the others are "
    "trained.",
}
FEW = 4  # rows that are shown without being unfolded


def trained_count(model: Module) -> int:
    """Elements of the parameters that are not frozen."""
    return sum(p.numel() for p in model.parameters() if p.requires_grad)


def weights_section(run: dict[str, Any], model: Module) -> dict[str, Any] | None:
    """The mode, what was loaded, initialised afresh and left unused, and the frozen layers.

    Args:
        run: as of report.render; run["weights"] is what loading reported, where something was.
        model: the trained network; its parameters are frozen as they were in the last epoch.

    Returns:
        None for a network that was trained as a whole from random numbers.
    """
    weights, settings = run.get("weights") or {}, run["settings"]
    mode, frozen = settings.get("mode"), frozen_layers(model)
    if not weights and not frozen:
        return None
    parts = [part("Frozen", "layers that keep their weights", frozen, ("layer", "parameters"))]
    if weights:
        columns = ("tensor", "shape")
        parts = [
            part("Loaded", "from the file", rows(weights["loaded"]), (*columns, "from")),
            part("Initialised afresh", "random", rows(weights["initialised"]), (*columns, "why")),
            part("Unused", "in the file only", rows(weights["unused"]), columns),
            *parts,
        ]
    return {
        "mode": mode,
        "says": " ".join(sentences(settings, weights)),
        "source": Path(weights["source"]).name if weights else "",
        "parts": parts,
    }


def sentences(settings: dict[str, Any], weights: dict[str, Any]) -> list[str]:
    """What the section begins with."""
    found = [MODES[settings["mode"]]] if settings.get("mode") in MODES else []
    if settings.get("unfreeze_after") is not None:
        found.append(f"After {settings['unfreeze_after']} epochs all layers are trained.")
    if weights:
        found.append(
            f"The file: {weights['source']} ({weights['format']}, names: {weights['names']})."
        )
        found += [f"{note[:1].upper()}{note[1:]}." for note in weights.get("notes", ())]
    return found


def part(what: str, note: str, rows: list[tuple], columns: tuple) -> dict[str, Any]:
    return {"what": what, "note": note, "rows": rows, "columns": columns, "open": len(rows) <= FEW}


def rows(entries: list[dict[str, Any]]) -> list[tuple[str, ...]]:
    """(name, shape, where from or why) of the tensors in a list of the report of load_weights."""
    found = []
    for entry in entries:
        shape = " × ".join(str(n) for n in entry["shape"])
        more = [entry[key] for key in ("from", "why") if key in entry]
        found.append((entry["name"], shape, *more))
    return found


def frozen_layers(model: Module) -> list[tuple[str, str]]:
    """Name and number of parameters of each module whose own parameters are all frozen."""
    found = []
    for name, module in model.named_modules():
        own = list(module.parameters(recurse=False))
        if own and not any(p.requires_grad for p in own):
            found.append((name, f"{sum(p.numel() for p in own):,}"))
    return found
