"""report.html: a drawing run on one page."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from apps.draw.samples import sample_files, step_of, tiles_of
from apps.shared.curves import curves
from apps.shared.page import Figure, Page, duration, number, percent, settings_table, write_page
from apps.shared.page import render as render_page
from apps.shared.pictures import LARGE, Filmstrip, Frame, Picture
from apps.shared.run_folder import REPORT

FRAMES = 41  # of the filmstrip, at most
EASY_FIRST = ("color", "background", "center", "size", "shape", "count")
GROUPS = {
    "Accuracy of the discriminator": {
        "real": "real_accuracy", "drawn": "drawn_accuracy", "wrong caption": "wrong_accuracy",
    },
}  # fmt: skip


def write_report(
    folder: Path, run: dict[str, Any], history: list[dict[str, Any]], captions: list[str]
) -> None:
    """Write the page.

    Args:
        folder: of the run, with its samples.
        run: what run.json holds.
        history: one dict per epoch.
        captions: of the samples.
    """
    write_page(folder / REPORT, render(folder, run, history, captions), "draw train")


def render(
    folder: Path, run: dict[str, Any], history: list[dict[str, Any]], captions: list[str]
) -> str:
    """The page as text; arguments as in write_report."""
    settings = run["settings"]
    page = Page(
        heading=f"Drawing {run['data']}: {settings['preset']}, {settings['gan']}",
        note=f"{run['date']} · seed {settings['seed']} · {number(run['pictures'])} pictures with "
        f"{number(run['captions'])} captions",
        figures=headline(run),
        command=run["command"],
        settings=settings_table(settings, run["versions"]),
    )
    what = "" if settings["gan"] == "gan" else "of one caption "
    groups = GROUPS | {
        f"Diversity {what}({run['diversity_unit']}: 1)": {"diversity": "diversity"},
        "Diversity across captions (all real pictures: 1)": {"across": "diversity_across"},
    }
    known = {title: lines for title, lines in groups.items()
             if any(name in history[-1] for name in lines.values())}  # fmt: skip
    return render_page(
        "draw/report/page.html.j2", page,
        strip=filmstrip(folder, captions),
        alarms=run["alarms"],
        rows=attribute_rows(run),
        curves=curves(history, groups=known),
    )  # fmt: skip


def headline(run: dict[str, Any]) -> list[Figure]:
    """What is right in the pictures, diversity, steps, time, size."""
    figures = []
    held_out = run.get("held_out")
    if held_out:
        said = held_out["attributes"]
        mean = sum(said.values()) / len(said)
        figures.append(Figure("Attributes right", percent(mean), "sentences that were held out"))
        all_six = held_out["all_six"]["attributes"]
        figures.append(Figure("All six right", percent(all_six), "in the same picture"))
        figures.append(Figure(
            "Diversity", f"{held_out['diversity']['same']:.2f}", "of one sentence; real pictures: 1"
        ))  # fmt: skip
        if held_out.get("r_precision") is not None:
            note = "sentence found among 100; chance 1 %"
            figures.append(Figure("R-precision", percent(held_out["r_precision"]), note))
    elif run["diversity"] is not None:
        note = f"in the last epoch; {run['diversity_unit']}: 1"
        figures.append(Figure("Diversity", f"{run['diversity']:.2f}", note))
    if "retrieval" in run:
        found = run["retrieval"]
        figures.append(Figure(
            "Text encoder", percent(found["share"]),
            f"class found among {found['among']}; {found['of']}",
        ))  # fmt: skip
    sizes = run["parameters"]
    pace = f"{run['images_per_second']:,.0f} pictures per second"
    return [
        *figures,
        Figure("Steps", number(run["steps"]), f"{run['epochs']} epochs"),
        Figure("Time", duration(run["seconds"]), pace),
        Figure("Generator", number(sizes["generator"]), "parameters; discriminator "
               f"{number(sizes['discriminator'])}"),
    ]  # fmt: skip


def attribute_rows(run: dict[str, Any]) -> list[tuple[str, str, str]]:
    """(attribute, right, right with captions shuffled) of flowers; none of other data."""
    held_out = run.get("held_out")
    if not held_out:
        return []
    right, shuffled = held_out["attributes"], held_out["shuffled"]
    return [(name, percent(right[name]), percent(shuffled[name])) for name in EASY_FIRST]


def filmstrip(folder: Path, captions: list[str]) -> Filmstrip | None:
    """The same captions over time; None before the first samples."""
    files = sample_files(folder)
    every = -(-len(files) // FRAMES) or 1
    files = files[:-1:every] + files[-1:]  # the last one in any case
    frames = [
        Frame(
            f"step {number(step_of(path))}",
            [
                Picture(tile, caption, alt=caption or "drawn", at_most=LARGE, exact=True)
                for tile, caption in zip(tiles_of(path), captions)
            ],
        )
        for path in files
    ]
    return (
        Filmstrip("The same sentences, drawn while the networks learn", frames) if frames else None
    )
