"""From the options of `minidl style gatys` to the picture and its report."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from apps.shared.options import OptionError, check_resumed, stored_values, to_dict
from apps.shared.output_file import OutputFile
from apps.style.gatys.checks import check
from apps.style.gatys.objective import GatysObjective
from apps.style.gatys.pictures import Pictures
from apps.style.gatys.settings import Settings
from apps.style.gatys.tiles import make_objective, pixels_of_tiles
from apps.style.loss_network import LossNetwork
from apps.style.optimize.estimate import check_memory, estimate
from apps.style.optimize.loop import Outcome, Task, optimize
from apps.style.optimize.plan import Plan, make_plan
from apps.style.optimize.run import Run, load_run
from apps.style.report.page import write_report

# What is otherwise by default in a run that begins with noise: it has a longer way, and nothing of
# the content but what the loss brings.
FROM_NOISE = {"iterations": 200, "lr": 15.0, "content_weight": 0.5}
REPORT, STATE = ".html", ".resume.safetensors"


def transfer(
    given: dict[str, Any],
    output: str,
    overwrite: bool,
    resume: bool,
    command: str,
    note: Callable[[str], None],
) -> dict[str, Any]:
    """Make the picture; write it and its report.

    Args:
        given: the options that were typed, parsed.
        output: the file of the picture.
        overwrite: whether files that are there may be replaced.
        resume: go on with an interrupted run.
        command: what was typed, for the report.
        note: called with lines of text for people.

    Returns:
        what --json prints.
    """
    for name, called in (("content", "CONTENT"), ("styles", "STYLE")):
        if name not in given:
            raise OptionError(f"say which picture is the {called}", {}, "minidl style gatys --help")
    file, state = checked_files(output, overwrite, resume)
    saved = load_run(state) if resume else None
    settings = Settings(**with_defaults(given))
    if saved is not None:
        stored = stored_values(Settings, saved.meta.get("settings"))
        check_resumed(Settings, stored, given)
        settings = Settings(**{**stored, **given})
    check(settings, given)
    pictures = Pictures(settings)
    net = LossNetwork(settings.net, settings.weights, settings.pool)
    net.check_layers([*settings.of_content(), *settings.of_style()])
    plan = make_plan(settings, pictures.size, net.receptive_field(settings.layers()))
    task = replace(
        make_task(net, settings, pictures), state=state, meta={"settings": to_dict(settings)}
    )
    run = Run(plan)
    if saved is not None:
        run.load(saved)
    else:
        small = replace(task, objective_at=lambda at: GatysObjective(net, settings, pictures, at))
        announce(plan, small, settings, note)
    outcome = optimize(plan, task, note, run)
    return finish(outcome, settings, pictures, file, command)


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


def checked_files(output: str, overwrite: bool, resume: bool) -> tuple[OutputFile, Path]:
    """The output, and the file of an unfinished run.

    Raises:
        OptionError: one of them is there, and is not to be replaced.
    """
    file = OutputFile(output, overwrite or resume, beside=(REPORT,), op="gatys")
    state = state_of(file)
    if state.exists() and not (resume or overwrite):
        raise OptionError(
            "an unfinished run of this picture is there", {"file": str(state)},
            "--resume goes on with it; --overwrite begins anew",
        )  # fmt: skip
    return file, state


def state_of(file: OutputFile) -> Path:
    """The file of an unfinished run: cat.jpg.resume.safetensors, not that of cat.png."""
    return file.path.with_name(file.path.name + STATE)


def with_defaults(given: dict[str, Any]) -> dict[str, Any]:
    """The options, with FROM_NOISE where they begin with noise."""
    if given.get("init") != "noise":
        return given
    usual = given.get("loss_norm", "target") == "target"
    return {k: v for k, v in FROM_NOISE.items() if usual or k != "content_weight"} | given


def announce(plan: Plan, task: Task, settings: Settings, note: Callable[[str], None]) -> None:
    """Say what the run will need, from a task without tiles; refuse what does not fit into
    memory."""
    found = estimate(plan, task, note)
    height, width = plan.size
    note(f"{width}x{height} pixels, {plan.iterations} iterations: {found}")
    tile = "" if settings.tile else ", and --tile 512 computes a larger one in parts"
    check_memory(found, plan, lambda side: f"--size {side} fits{tile}")


def finish(
    outcome: Outcome, settings: Settings, pictures: Pictures, file: OutputFile, command: str
) -> dict[str, Any]:
    """Write the picture and its report; the state of a finished run goes."""
    made = pictures.finished(outcome.picture)
    made.save(file.path, "gatys")
    write_report(
        file.beside(REPORT), made, pictures.original, pictures.styles, outcome, to_dict(settings),
        command, names(settings),
    )  # fmt: skip
    if not outcome.interrupted:
        state_of(file).unlink(missing_ok=True)
    return {
        "picture": str(file.path), "report": str(file.beside(REPORT)), "size": list(made.size),
        "losses": outcome.losses, "iterations": outcome.iterations, "seconds": outcome.seconds,
        "restarts": outcome.restarts, "interrupted": outcome.interrupted,
        "settings": to_dict(settings),
    }  # fmt: skip


def names(settings: Settings) -> str:
    """What the report is called: "coffee in the style of brick"."""
    styles = " and ".join(Path(style).stem for style in settings.styles)
    return f"{Path(settings.content).stem} in the style of {styles}"
