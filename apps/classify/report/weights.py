"""Where the weights of a network came from, and which were trained: a section of report.html."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from apps.shared.page import Figure, number
from minidl.nn import Module

MODES = {
    "scratch": "All weights began as random numbers.",
    "finetune": "Training began with the weights of a file, and changed them.",
    "frozen": "Training began with the weights of a file.",  # sentences() says more
}
FEW = 4  # rows that are shown without being unfolded


def trained_count(model: Module) -> int:
    """Elements of the parameters that are not frozen."""
    return sum(p.numel() for p in model.parameters() if p.requires_grad)


def weights_section(run: dict[str, Any], model: Module) -> dict[str, Any] | None:
    """The mode, what was loaded, initialised afresh and left unused, and the frozen layers.

    Args:
        run: as of report.render; run["weights"] is what loading reported, where something was, and
            run["frozen"] names the parameters that were frozen in the first epoch.
        model: the trained network; its parameters are frozen as they were in the last epoch.

    Returns:
        None for a network that was trained as a whole from random numbers.
    """
    weights, settings = run.get("weights") or {}, run["settings"]
    mode, columns = settings.get("mode"), ("layer", "parameters")
    still = {name for name, p in model.named_parameters() if not p.requires_grad}
    frozen = layers_of(model, still)
    if not weights and not frozen:
        return None
    parts = [part("Frozen", "layers that keep their weights", frozen, columns)]
    after = settings.get("unfreeze_after")
    thawed = set(run["frozen"]) - still if after is not None and run["epochs"] > after else set()
    if thawed:
        note = f"layers that learn after {counted(after, 'epoch')}"
        first = part("Frozen at first", note, layers_of(model, thawed), columns)
        parts = [one for one in (first, *parts) if one["rows"]]
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
        "says": " ".join(sentences(run, weights, bool(thawed))),
        "source": Path(weights["source"]).name if weights else "",
        "counts": [Figure(p["what"], number(len(p["rows"])), p["note"]) for p in parts],
        "parts": parts,
    }


def counted(n: int, what: str) -> str:
    """1 epoch, 2 epochs."""
    return f"{n:,} {what}" if n == 1 else f"{n:,} {what}s"


def sentences(run: dict[str, Any], weights: dict[str, Any], thawed: bool) -> list[str]:
    """What the section begins with; `thawed`: frozen layers came to learn."""
    settings = run["settings"]
    mode, after = settings.get("mode"), settings.get("unfreeze_after")
    found = [MODES[mode]] if mode in MODES else []
    if mode == "frozen" and thawed:
        found.append(
            f"Some layers kept theirs for {counted(after, 'epoch')}, while the others were "
            "trained; then they were trained, too."
        )
        if run["tested_epoch"] <= after:
            found.append(
                f"The tested network, that of epoch {run['tested_epoch']}, still has them."
            )
    elif mode == "frozen":
        found.append("Some layers keep theirs, the others are trained.")
        if after is not None and run["epochs"] <= after:
            found.append(
                f"After {counted(after, 'epoch')} all would have been trained, but the run ended "
                "before."
            )
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


def layers_of(model: Module, names: set[str]) -> list[tuple[str, str]]:
    """Name and number of parameters of each module whose own parameters all have these names."""
    found = []
    for path, module in model.named_modules():
        own = dict(module.named_parameters(path, recurse=False))
        if own and names.issuperset(own):
            found.append((path, f"{sum(p.numel() for p in own.values()):,}"))
    return found
