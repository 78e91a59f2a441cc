"""From the options of `minidl style gatys` to the picture and its report."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from apps.shared.options import to_dict
from apps.style.gatys.checks import check
from apps.style.gatys.objective import GatysObjective
from apps.style.gatys.pictures import Pictures
from apps.style.gatys.settings import Settings
from apps.style.gatys.tiles import make_objective, pixels_of_tiles
from apps.style.loss_network import LossNetwork
from apps.style.optimize.estimate import check_picture, estimate
from apps.style.optimize.loop import Outcome, Task, optimize
from apps.style.optimize.plan import Plan, make_plan, note_left_out
from apps.style.optimize.run import Run
from apps.style.report.page import write_report
from apps.style.resume import Order, RunFiles

# What is otherwise by default in a run that begins with noise: it has a longer way, and nothing of
# the content but what the loss brings.
FROM_NOISE = {"iterations": 200, "lr": 15.0, "content_weight": 0.5}


def transfer(order: Order) -> dict[str, Any]:
    """Make the picture; write it and its report.

    Returns:
        what --json prints.
    """
    order.check_given("gatys", content="CONTENT", styles="STYLE")
    files = RunFiles(order, "gatys")
    settings = files.settings(Settings, usual_of(order.given))
    check(settings, order.given)
    pictures = Pictures(settings)
    net = LossNetwork(settings.net, settings.weights, settings.pool)
    net.check_layers([*settings.of_content(), *settings.of_style()])
    plan = make_plan(settings, pictures.size, net.receptive_field(settings.layers()))
    task = replace(
        make_task(net, settings, pictures), state=files.state,
        meta=files.meta(settings, pictures.fingerprint),
    )  # fmt: skip
    run = Run(plan)
    if files.saved is not None:
        run.load(files.saved)
    else:
        small = replace(task, objective_at=lambda at: GatysObjective(net, settings, pictures, at))
        note_left_out(plan, order.given, order.note)
        announce(plan, small, settings, order.note)
    outcome = optimize(plan, task, order.note, run)
    return finish(outcome, settings, pictures, files)


def make_task(net: LossNetwork, settings: Settings, pictures: Pictures) -> Task:
    """What the loop works on."""
    return Task(
        lambda size: make_objective(net, settings, pictures, size),
        pictures.start_at,
        lambda size: pictures.content_at(size).tensor().data,
        grey_is_meant=pictures.has_grey_style(),
        restored=pictures.outside_kept,
        pixels=lambda size: pixels_of_tiles(net, settings, size),
    )


def usual_of(given: dict[str, Any]) -> dict[str, Any]:
    """FROM_NOISE for a run that begins with noise."""
    if given.get("init") != "noise":
        return {}
    usual = given.get("loss_norm", "target") == "target"
    return {k: v for k, v in FROM_NOISE.items() if usual or k != "content_weight"}


def announce(plan: Plan, task: Task, settings: Settings, note: Callable[[str], None]) -> None:
    """Say what the run will need, from a task without tiles; refuse what does not fit into
    memory."""
    found = estimate(plan, task, note)
    height, width = plan.size
    note(f"{width}x{height} pixels, {plan.iterations} iterations: {found}")
    tile = "" if settings.tile else ", and --tile 512 computes a larger one in parts"
    check_picture(found, plan, lambda side: f"--size {side} fits{tile}")


def finish(
    outcome: Outcome, settings: Settings, pictures: Pictures, files: RunFiles
) -> dict[str, Any]:
    """Write the picture and its report; the state of a finished run goes."""
    made = pictures.finished(outcome.picture)
    made.save(files.output.path, "gatys")
    write_report(
        files.report, made, pictures.original, pictures.styles, outcome, to_dict(settings),
        files.order.command, names(settings),
    )  # fmt: skip
    if not outcome.interrupted:
        files.forget()
    return outcome.figures() | {
        "picture": str(files.output.path), "report": str(files.report), "size": list(made.size),
        "settings": to_dict(settings),
    }  # fmt: skip


def names(settings: Settings) -> str:
    """What the report is called: "coffee in the style of brick"."""
    styles = " and ".join(Path(style).stem for style in settings.styles)
    return f"{Path(settings.content).stem} in the style of {styles}"
