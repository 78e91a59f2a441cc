"""What load_weights did with each tensor: loaded, initialised afresh, unused."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from models.weights.maps import Preprocessing

SHOWN = 8  # names of each list in the text; the JSON form has all
COUNTER = "num_batches_tracked"  # of batch norms; most libraries have none, and the text shows none


@dataclass(frozen=True)
class Row:
    """A tensor in a report.

    Args:
        name: of the parameter or buffer in the model; in the file where it is unused.
        shape: its shape.
        why: the tensors of the file that it was made of; or why it was not loaded.
    """

    name: str
    shape: tuple[int, ...]
    why: str = ""


@dataclass
class Report:
    """What became of the tensors of a weight file and of a model.

    str() is a text of a few lines for people, as_json() all of it for programs.

    Args:
        file: path of the file.
        format: its format, "pytorch", "caffe", ...
        names: whose names the file has: "torchvision", "Caffe", "Keras", ...
        model: class of the model.
        loaded: tensors of the model that have the file's values now.
        fresh: tensors of the model that keep the values they were initialised with, and why.
        unused: tensors of the file that have no place in the model.
        parameters: how many numbers were loaded into parameters (running averages not counted).
        preprocessing: what pictures go through before these weights, None where it is not known.
        notes: what differs from the network that the weights were trained in.
        taken_off: parts of the names that wrappers had put there: "module.", "net."
    """

    file: str
    format: str
    names: str
    model: str
    loaded: list[Row] = field(default_factory=list)
    fresh: list[Row] = field(default_factory=list)
    unused: list[Row] = field(default_factory=list)
    parameters: int = 0
    preprocessing: Preprocessing | None = None
    notes: list[str] = field(default_factory=list)
    taken_off: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        lines = [f"weights of {self.model} from {self.file} ({self.format}, names: {self.names})"]
        if self.taken_off:
            lines.append(f"  taken off names     {', '.join(self.taken_off)}")
        lines.append(
            f"  loaded              {len(self.loaded)} tensors ({self.parameters:,} parameters)"
        )
        lines.append(f"  initialised afresh  {len(self.fresh) or 'none'}")
        lines += listed(self.fresh)
        unused = [row for row in self.unused if not row.name.endswith(COUNTER)]
        lines.append(f"  unused in the file  {len(unused) or 'none'}")
        lines += listed(unused)
        if self.preprocessing is not None:
            lines.append(f"  preprocessing       {self.preprocessing}")
        lines += [f"  note: {note}" for note in self.notes]
        return "\n".join(lines)

    def as_json(self) -> dict[str, Any]:
        """All of it in JSON's types, for run.json and reports.

        >>> from models.weights.load import Report
        >>> Report("a.npz", "npz", "minidl", "LeNet5").as_json()["loaded"]
        []
        """
        chosen = None
        if self.preprocessing is not None:
            chosen = {"mean": list(self.preprocessing.mean), "std": list(self.preprocessing.std)}
        return {
            "file": self.file, "format": self.format, "names": self.names, "model": self.model,
            "parameters": self.parameters, "loaded": as_dicts(self.loaded, "from"),
            "fresh": as_dicts(self.fresh, "why"), "unused": as_dicts(self.unused),
            "preprocessing": chosen, "notes": list(self.notes),
            "taken_off": list(self.taken_off),
        }  # fmt: skip


def as_dicts(rows: list[Row], why: str = "") -> list[dict[str, Any]]:
    return [
        {"name": row.name, "shape": list(row.shape), **({why: row.why} if why else {})}
        for row in rows
    ]


def listed(rows: list[Row]) -> list[str]:
    """A line for each of the first rows, with the names in a column."""
    shown = rows[:SHOWN]
    width = max((len(row.name) for row in shown), default=0)
    lines = [f"    {row.name:<{width}}  {row.shape}  {row.why}".rstrip() for row in shown]
    if len(rows) > SHOWN:
        lines.append(f"    and {len(rows) - SHOWN} more")
    return lines
