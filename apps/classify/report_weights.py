"""Where the weights of a network came from, and which were trained: a section of report.html."""

from __future__ import annotations

from typing import Any

from minidl.nn import Module

MODES = {
    "scratch": "All weights began as random numbers, and all were trained.",
    "finetune": "Training began with the weights of a file, and changed all of them.",
    "frozen": "Training began with the weights of a file. Some layers kept theirs; the others were "
    "trained.",
}


def trained_count(model: Module) -> int:
    """Elements of the parameters that are not frozen."""
    return sum(p.numel() for p in model.parameters() if p.requires_grad)


def weights_section(run: dict[str, Any], model: Module) -> dict[str, Any] | None:
    """The mode, what was loaded, initialised afresh and left unused, and the frozen layers.

    Args:
        run: as of report.render; run["weights"] is what loading reported, where something was.
        model: the trained network.

    Returns:
        None for a network that was trained as a whole from random numbers.
    """
    weights, mode = run.get("weights"), run["settings"].get("mode")
    frozen = frozen_layers(model)
    if not weights and not frozen and mode in (None, "scratch"):
        return None
    weights = weights or {}
    parts = [
        ("loaded", "from the file", rows(weights.get("loaded"))),
        ("initialised afresh", "random numbers", rows(weights.get("initialised"))),
        ("unused", "in the file, not in the network", rows(weights.get("unused"))),
    ]
    return {
        "mode": mode,
        "says": MODES.get(mode, ""),
        "source": weights.get("source"),
        "parts": [{"what": what, "note": note, "rows": r} for what, note, r in parts],
        "frozen": frozen,
        "frozen_count": sum(layer["count"] for layer in frozen),
    }


def rows(entries: Any) -> list[tuple[str, str]]:
    """(name, shape) of the tensors in a list of names, of (name, shape), or a dict of these."""
    if isinstance(entries, dict):
        entries = list(entries.items())
    found = []
    for entry in entries or ():
        if isinstance(entry, dict):
            entry = (entry.get("name", ""), entry.get("shape", ""))
        name, shape = (entry, "") if isinstance(entry, str) else entry
        if isinstance(shape, list | tuple):
            shape = " × ".join(str(n) for n in shape)
        found.append((str(name), str(shape)))
    return found


def frozen_layers(model: Module) -> list[dict[str, Any]]:
    """Name and parameters of each module whose own parameters are all frozen."""
    found = []
    for name, module in model.named_modules():
        own = list(module.parameters(recurse=False))
        if own and not any(p.requires_grad for p in own):
            found.append({"name": name, "count": sum(p.numel() for p in own)})
    return found
