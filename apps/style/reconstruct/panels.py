"""The panels of the sheet: reconstructions from noise, and how near they come."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from apps.shared.photo import Photo
from apps.shared.pictures import Picture
from apps.style.loss_network import LossNetwork
from apps.style.optimize.estimate import check_memory, estimate
from apps.style.optimize.loop import Task, optimize
from apps.style.optimize.objective import Objective
from apps.style.optimize.plan import Plan, make_plan
from apps.style.optimize.watch import grey_spots, has_grey_spots
from apps.style.reconstruct.objective import ContentObjective, StyleObjective
from apps.style.reconstruct.settings import Settings

NOISE = 20.0  # deviation of the noise in the first picture, around grey


@dataclass
class Panel:
    """One reconstruction.

    Args:
        kind: "content" or "style".
        layers: that it was made from.
        photo: the reconstruction.
        loss: at the end.
        first_loss: at the start.
        psnr: how near its pixels are to the picture's, in decibels; of a style None.
    """

    kind: str
    layers: list[str]
    photo: Photo
    loss: float
    first_loss: float
    psnr: float | None

    def picture(self) -> Picture:
        """The panel for a sheet."""
        if self.kind == "content":
            return Picture(self.photo.bytes, f"content of {self.layers[0]}", f"{self.psnr:.1f} dB")
        upto = f" to {self.layers[-1]}" if len(self.layers) > 1 else ""
        fall = self.first_loss / max(self.loss, 1e-30)
        return Picture(
            self.photo.bytes, f"style of {self.layers[0]}{upto}", f"loss 1/{fall:,.0f} of noise's"
        )

    def text(self) -> str:
        """The panel in a line."""
        near = "" if self.psnr is None else f", {self.psnr:.1f} dB"
        return f"{self.kind} of {', '.join(self.layers)}: loss {self.loss:.3g}{near}"

    def as_json(self) -> dict[str, Any]:
        return {
            "kind": self.kind, "layers": self.layers, "loss": self.loss,
            "first_loss": self.first_loss, "psnr": self.psnr,
        }  # fmt: skip


@dataclass
class Sheet:
    """All that was reconstructed.

    Args:
        photo: the picture, at the size of the panels.
        panels: in order.
        interrupted: whether Ctrl-C ended it, and panels are missing.
    """

    photo: Photo
    panels: list[Panel]
    interrupted: bool = False


def reconstruct(settings: Settings, note: Callable[[str], None]) -> Sheet:
    """Make the panels.

    Args:
        settings: of the command.
        note: called with lines of text for people.

    Raises:
        ArgumentError: the network has no such layer.
        ShapeError: the picture is too small for a layer.
        KeyboardInterrupt: Ctrl-C before the first panel was done.
    """
    photo = Photo.read(settings.image).over_white()
    photo = photo.fitted(min(settings.size, max(photo.size)))
    net = LossNetwork(settings.net, settings.weights, settings.pool)
    layers = net.check_layers(settings.of_layers())
    plan = make_plan(settings, photo.size, net.receptive_field(layers))
    wanted = [("content", [layer]) for layer in layers]
    if settings.style:
        wanted += [("style", layers[: i + 1]) for i in range(len(layers))]
    announce(net, wanted, photo, plan, note)
    sheet = Sheet(photo, [])
    for kind, names in wanted:
        panel = make_panel(net, kind, names, photo, plan, note)
        if panel is None:
            sheet.interrupted = True
            break
        sheet.panels.append(panel)
    if not sheet.panels:
        raise KeyboardInterrupt("interrupted before the first panel; nothing was written")
    return sheet


def announce(
    net: LossNetwork,
    wanted: list[tuple[str, list[str]]],
    photo: Photo,
    plan: Plan,
    note: Callable[[str], None],
) -> None:
    """Say how long it will take, from the deepest layer; refuse what does not fit into memory."""
    found = estimate(plan, make_task(net, *wanted[-1], photo), note)
    found.seconds *= len(wanted)
    note(f"{len(wanted)} panels of {photo.width}x{photo.height} pixels: {found}")
    check_memory(found, plan, lambda side: f"--size {side} fits")


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


def make_panel(
    net: LossNetwork,
    kind: str,
    layers: list[str],
    photo: Photo,
    plan: Plan,
    note: Callable[[str], None],
) -> Panel | None:
    """One reconstruction; None where Ctrl-C ended it."""
    outcome = optimize(plan, make_task(net, kind, layers, photo), note)
    if outcome.interrupted:
        return None
    first, last = outcome.history[0][f"{kind}_loss"], outcome.losses[f"{kind}_loss"]
    near = psnr(outcome.picture, photo) if kind == "content" else None
    panel = Panel(kind, layers, outcome.picture, last, first, near)
    note(panel.text())
    return panel


def noise(size: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """Where a reconstruction begins: grey with a little noise."""
    drawn = rng.normal(127.5, NOISE, (1, *size, 3)).astype(np.float32)
    return np.clip(drawn, 0, 255).transpose(0, 3, 1, 2)


def psnr(made: Photo, photo: Photo) -> float:
    """Peak signal-to-noise ratio in decibels: 20 log10 (1 / root mean squared error)."""
    error = float(np.mean((made.pixels - photo.pixels) ** 2))
    return -10 * math.log10(max(error, 1e-12))
