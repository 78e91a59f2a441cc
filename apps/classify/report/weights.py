"""Where the weights of a network came from, and which of them were trained."""

from __future__ import annotations

from dataclasses import dataclass
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
TENSOR, LAYER = ("tensor", "shape"), ("layer", "parameters")


@dataclass
class Part:
    """A table of tensors or layers with something in common.

    Args:
        what, note: its name, and a few words beside their number.
        columns: headings.
        rows: texts.
    """

    what: str
    note: str
    columns: tuple[str, ...]
    rows: list[tuple[str, ...]]

    @property
    def is_open(self) -> bool:
        """Whether the table is shown without being unfolded."""
        return len(self.rows) <= FEW


@dataclass
class Weights:
    """The section.

    Args:
        mode: scratch, finetune or frozen; None where the run does not say.
        says: sentences to begin with.
        source: name of the file, or "".
        parts: what was loaded, initialised afresh, left unused and frozen.
    """

    mode: str | None
    says: str
    source: str
    parts: list[Part]

    @property
    def counts(self) -> list[Figure]:
        """How many rows each part has."""
        return [Figure(part.what, number(len(part.rows)), part.note) for part in self.parts]


def weights_section(run: dict[str, Any], model: Module) -> Weights | None:
    """What was loaded, initialised afresh and left unused, and the frozen layers.

    Args:
        run: as of report.render; run["weights"] is what loading reported, where something was
            loaded, and run["frozen"] names the parameters that were frozen in the first epoch.
        model: the trained network; its parameters are frozen as they were in the last epoch.

    Returns:
        None for a network that was trained as a whole from random numbers.
    """
    loading, settings = run.get("weights") or {}, run["settings"]
    still = {name for name, p in model.named_parameters() if not p.requires_grad}
    frozen = layers_of(model, still)
    if not loading and not frozen:
        return None
    after = settings.get("unfreeze_after")
    thawed = set(run["frozen"]) - still if after is not None and run["epochs"] > after else set()
    parts = [Part("Frozen", "layers that keep their weights", LAYER, frozen)]
    if thawed:
        note = f"layers that learn after {counted(after, 'epoch')}"
        first = Part("Frozen at first", note, LAYER, layers_of(model, thawed))
        parts = [part for part in (first, *parts) if part.rows]
    return Weights(
        mode=settings.get("mode"),
        says=" ".join(sentences(run, loading, bool(thawed))),
        source=Path(loading["source"]).name if loading else "",
        parts=[*loaded_parts(loading), *parts] if loading else parts,
    )


def loaded_parts(loading: dict[str, Any]) -> list[Part]:
    """What became of the tensors of the file and of the network."""
    return [
        Part("Loaded", "from the file", (*TENSOR, "from"), tensors(loading["loaded"])),
        Part("Initialised afresh", "random", (*TENSOR, "why"), tensors(loading["initialised"])),
        Part("Unused", "in the file only", TENSOR, tensors(loading["unused"])),
    ]


def tensors(entries: list[dict[str, Any]]) -> list[tuple[str, ...]]:
    """(name, shape, where from or why) of the entries of a list that load_weights reported."""
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
            found.append((path, number(sum(p.numel() for p in own.values()))))
    return found


def trained_count(model: Module) -> int:
    """Elements of the parameters that are not frozen."""
    return sum(p.numel() for p in model.parameters() if p.requires_grad)


def sentences(run: dict[str, Any], loading: dict[str, Any], thawed: bool) -> list[str]:
    """What the section begins with.

    Args:
        run: settings, epochs and tested_epoch.
        loading: what loading reported, {} where nothing was loaded.
        thawed: whether layers that were frozen came to learn.
    """
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
    if loading:
        found.append(
            f"The file: {loading['source']} ({loading['format']}, names: {loading['names']})."
        )
        if taken_off := loading.get("taken_off"):
            found.append(f"Taken off its names: {', '.join(taken_off)}")
        found += [f"{note[:1].upper()}{note[1:]}." for note in loading.get("notes", ())]
    return found


def counted(n: int, what: str) -> str:
    """1 epoch, 2 epochs."""
    return f"{n:,} {what}" if n == 1 else f"{n:,} {what}s"
