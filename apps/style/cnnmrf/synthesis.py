"""From the options of `minidl style cnnmrf` to the picture and its report."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import minidl
from apps.shared.options import to_dict
from apps.style.cnnmrf.objective import PatchObjective
from apps.style.cnnmrf.pictures import Pictures
from apps.style.cnnmrf.settings import Settings, check_settings
from apps.style.loss_network import LossNetwork
from apps.style.optimize.estimate import check_picture, estimate
from apps.style.optimize.loop import Outcome, Task, optimize
from apps.style.optimize.plan import Plan, make_plan, note_left_out
from apps.style.optimize.run import Run
from apps.style.report.page import write_report
from apps.style.resume import Order, RunFiles


def synthesise(order: Order) -> dict[str, Any]:
    """Make the picture; write it and its report.

    Returns:
        what --json prints.
    """
    order.check_given("cnnmrf", pictures="STYLE")
    files = RunFiles(order, "cnnmrf")
    settings = files.settings(Settings)
    check_settings(settings, order.given)
    maker = Maker(settings, order.note)
    plan = make_plan(settings, maker.pictures.size, maker.smallest())
    pictures = maker.pictures
    task = Task(
        maker.objective_at, pictures.start_at, maker.reference(), state=files.state,
        meta=files.meta(settings, pictures.fingerprint), pixels=maker.pixels,
    )  # fmt: skip
    run = Run(plan)
    if files.saved is not None:
        run.load(files.saved)
    else:
        note_left_out(plan, order.given, order.note)
        announce(plan, task, maker)
    return finish(optimize(plan, task, order.note, run), maker, files)


def announce(plan: Plan, task: Task, maker: Maker) -> None:
    """Say what the run will do and need; refuse what does not fit into memory."""
    found, (height, width) = estimate(plan, task, maker.note), plan.size
    found.megabytes += maker.objective.megabytes(plan.size)
    maker.note(f"{width}x{height} pixels, {plan.iterations} iterations: {found}")
    check_picture(found, plan, lambda side: f"--size {side} fits")


class Maker:
    """The network and the pictures of a run, and the objective of its last scale.

    Args:
        settings: of the run.
        note: called with lines of text for people.
    """

    objective: PatchObjective

    def __init__(self, settings: Settings, note: Callable[[str], None]):
        self.settings, self.note, self.pictures = settings, note, Pictures(settings)
        self.net = LossNetwork(settings.net, settings.weights, settings.pool)
        minidl.manual_seed(settings.seed)

    def objective_at(self, size: tuple[int, int]) -> PatchObjective:
        self.objective = PatchObjective(self.net, self.settings, self.pictures, size)
        if left_out := self.objective.left_out:
            height, width = size
            self.note(
                f"at {width}x{height} pixels, {left_out} copies of the style are left out: they "
                "are smaller than a patch"
            )
        return self.objective

    def pixels(self, size: tuple[int, int]) -> tuple[int, float]:
        """How many pixels' features are in memory at once, and how many are computed."""
        return size[0] * size[1], self.objective.pixels_to_compute(size)

    def smallest(self) -> int:
        """Pixels of the shorter side from which on the picture and the style have two patches in
        each direction at the deepest layer."""
        settings, net = self.settings, self.net
        layers = net.check_layers([*settings.of_patches(), *settings.of_content()])
        places, step = settings.patch + settings.stride, net.stride(layers)
        least = net.smallest(layers) + (places - 1) * step
        style = min(self.pictures.style_size)
        return max(least, -(-least * min(self.pictures.size) // style))

    def reference(self) -> Callable | None:
        """The content as an array, for the watch over grey spots; None without one."""
        if self.pictures.content is None:
            return lambda size: self.pictures.styles_at(size)[0].resized(*size).tensor().data
        return lambda size: self.pictures.content_at(size).tensor().data


def finish(outcome: Outcome, maker: Maker, files: RunFiles) -> dict[str, Any]:
    """Write the picture and its report; the state of a finished run goes."""
    pictures, settings = maker.pictures, to_dict(maker.settings)
    correlation = dict(maker.objective.correlation)  # of the finished picture, evaluated last
    made = pictures.finished(outcome.picture)
    made.save(files.output.path, "cnnmrf")
    write_report(
        files.report, made, pictures.content, [pictures.style], outcome, settings,
        files.order.command, heading(maker.settings),
    )  # fmt: skip
    if not outcome.interrupted:
        files.forget()
    return outcome.figures() | {
        "picture": str(files.output.path), "report": str(files.report), "size": list(made.size),
        "correlation": correlation, "settings": settings,
    }  # fmt: skip


def heading(settings: Settings) -> str:
    """ "coffee in patches of brick"."""
    style = Path(settings.style).stem
    what = "A picture" if settings.content is None else Path(settings.content).stem
    return f"{what} in patches of {style}"
