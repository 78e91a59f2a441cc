"""The panels of the sheet: reconstructions from noise, and how near they come."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from apps.shared.photo import Photo, psnr, size_text
from apps.style.fingerprint import fingerprint
from apps.style.interrupt import Interrupt
from apps.style.loss_network import LossNetwork
from apps.style.optimize.estimate import check_picture, estimate
from apps.style.optimize.loop import Outcome, Task, optimize
from apps.style.optimize.objective import Objective
from apps.style.optimize.plan import Plan, make_plan, note_left_out
from apps.style.optimize.run import Run, Snapshot
from apps.style.optimize.watch import grey_spots, has_grey_spots
from apps.style.reconstruct.objective import ContentObjective, StyleObjective
from apps.style.reconstruct.settings import Settings
from apps.style.resume import RunFiles
from minidl.errors import CheckpointError
from minidl.tensor import Tensor

NOISE = 20.0  # deviation of the noise in the first picture, around grey
Note = Callable[[str], None]


@dataclass
class Panel:
    """One reconstruction.

    Args:
        kind: "content" or "style".
        layers: that it was made from.
        photo: the reconstruction.
        losses: of each iteration, and at last of the reconstruction.
        psnr: how near its pixels are to the picture's, in decibels; of a style None.
        seconds: that it took.
        snapshots: how it came about.
        restarts: what was begun afresh, in words.
        finished: whether all iterations were made.
    """

    kind: str
    layers: list[str]
    photo: Photo
    losses: list[float]
    psnr: float | None
    seconds: float = 0.0
    snapshots: list[Snapshot] = field(default_factory=list)
    restarts: list[str] = field(default_factory=list)
    finished: bool = True

    @property
    def loss(self) -> float:
        """At the end."""
        return self.losses[-1]

    @property
    def first_loss(self) -> float:
        """Of the noise."""
        return self.losses[0]

    @property
    def name(self) -> str:
        """ "content of fire2", "style of relu1 to fire2"."""
        upto = f" to {self.layers[-1]}" if len(self.layers) > 1 else ""
        return f"{self.kind} of {self.layers[0]}{upto}"

    @classmethod
    def of(cls, kind: str, layers: list[str], outcome: Outcome, photo: Photo) -> Panel:
        """What came of a run; `photo` is the picture to be reconstructed."""
        losses = [entry[f"{kind}_loss"] for entry in outcome.history]
        losses.append(outcome.losses[f"{kind}_loss"])
        near = psnr(outcome.picture.pixels, photo.pixels) if kind == "content" else None
        return cls(
            kind, layers, outcome.picture, losses, near, outcome.seconds, outcome.snapshots,
            outcome.restarts, not outcome.interrupted,
        )  # fmt: skip

    def as_state(self) -> dict[str, Any]:
        """All of a finished panel: JSON values and Tensors."""
        snapshots = [
            {"scale": one.scale, "iteration": one.iteration, "image": Tensor(one.image)}
            for one in self.snapshots
        ]
        return {
            "kind": self.kind, "layers": self.layers, "photo": Tensor(self.photo.bytes),
            "losses": self.losses, "psnr": self.psnr, "seconds": self.seconds,
            "snapshots": snapshots, "restarts": self.restarts,
        }  # fmt: skip

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Panel:
        """The panel of as_state: the same, with pixels in 256 steps, as they are written."""
        photo = Photo(state["photo"].data.astype(np.float32) / 255)
        snapshots = [
            Snapshot(one["scale"], one["iteration"], one["image"].data)
            for one in state["snapshots"]
        ]
        return cls(**{**state, "photo": photo, "snapshots": snapshots})


@dataclass
class Sheet:
    """All that was reconstructed.

    Args:
        photo: the picture, at the size of the panels.
        panels: in order.
        interrupted: whether Ctrl-C ended it: the last panel is not finished, or others are missing.
    """

    photo: Photo
    panels: list[Panel]
    interrupted: bool = False


def reconstruct(settings: Settings, note: Note, files: RunFiles | None = None) -> Sheet:
    """Make the panels.

    Args:
        settings: of the command.
        note: called with lines of text for people.
        files: where the state of an unfinished sheet is kept, and read to go on; None: nowhere.

    Raises:
        ArgumentError: the network has no such layer.
        ShapeError: the picture is too small for a layer.
        OptionError, CheckpointError: the state to go on with is of something else.
        KeyboardInterrupt: Ctrl-C before the first iteration.
    """
    read = Photo.read(settings.image).over_white()
    photo = read.fitted(min(settings.size, max(read.size)))
    net = LossNetwork(settings.net, settings.weights, settings.pool)
    layers = net.check_layers(settings.of_layers())
    plan = make_plan(settings, photo.size, net.receptive_field(layers))
    wanted = [("content", [layer]) for layer in layers]
    if settings.style:
        wanted += [("style", layers[: i + 1]) for i in range(len(layers))]
    meta = {} if files is None else files.meta(settings, fingerprint(read))
    state = None if files is None else files.state
    sheet, run = Sheet(photo, []), None
    if files is not None and files.saved is not None:
        sheet.panels, run = saved_panels(files.saved.meta), Run(plan)
        run.load(files.saved)
    else:
        note_left_out(plan, {} if files is None else files.order.given, note)
        announce(net, wanted, photo, plan, note)
    with Interrupt(note) as interrupt:
        for kind, names in wanted[len(sheet.panels) :]:
            so_far = {"panels": [panel.as_state() for panel in sheet.panels]}
            task = replace(make_task(net, kind, names, photo), state=state, meta=meta | so_far)
            outcome, run = optimize(plan, task, note, run, interrupt), None
            sheet.panels.append(Panel.of(kind, names, outcome, photo))
            note(f"{sheet.panels[-1].name}: loss {sheet.panels[-1].loss:.3g}")
            if outcome.interrupted:
                sheet.interrupted = True
                break
    return sheet


def saved_panels(meta: dict[str, Any]) -> list[Panel]:
    """The panels that were finished when the state was written.

    Raises:
        CheckpointError: it is of something else.
    """
    try:
        return [Panel.from_state(state) for state in meta["panels"]]
    except (LookupError, TypeError, AttributeError) as error:
        raise CheckpointError(
            "resume", f"the file does not hold the state of a sheet ({error})", {},
            "leave --resume out to start afresh",
        ) from None  # fmt: skip


def announce(
    net: LossNetwork, wanted: list[tuple[str, list[str]]], photo: Photo, plan: Plan, note: Note
) -> None:
    """Say how long it will take, from the deepest layer; refuse what does not fit into memory."""
    found = estimate(plan, make_task(net, *wanted[-1], photo), note)
    found.seconds *= len(wanted)
    note(f"{len(wanted)} panels of {size_text(photo.size)} pixels: {found}")
    check_picture(found, plan, lambda side: f"--size {side} fits")


def make_task(net: LossNetwork, kind: str, layers: list[str], photo: Photo) -> Task:
    """What the loop works on, for a panel."""

    def objective_at(size: tuple[int, int]) -> Objective:
        target = photo.resized(*size).tensor()
        if kind == "content":
            return ContentObjective(net, layers[0], target)
        return StyleObjective(net, layers, target)

    picture = photo.tensor().data  # where it is grey, a style may be grey anywhere
    meant = kind == "style" and has_grey_spots(grey_spots(picture))
    return Task(
        objective_at, noise, lambda size: photo.resized(*size).tensor().data, grey_is_meant=meant
    )


def noise(size: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """Where a reconstruction begins: grey with a little noise."""
    drawn = rng.normal(127.5, NOISE, (1, *size, 3)).astype(np.float32)
    return np.clip(drawn, 0, 255).transpose(0, 3, 1, 2)
