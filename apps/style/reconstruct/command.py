"""`minidl style reconstruct`: what each layer knows of a picture."""

from __future__ import annotations

from typing import Any

from apps.shared.command import command
from apps.shared.console import Console
from apps.shared.output_file import Out, Overwrite
from apps.style.group import style
from apps.style.reconstruct.settings import Settings


@command(style, "reconstruct", settings=Settings)
def reconstruct(
    given: dict[str, Any], console: Console, output: Out, overwrite: Overwrite = False
) -> None:
    """Reconstruct a picture from each layer of a network: one sheet.

    Figure 1 of Gatys et al. 2016. A content panel is the picture that has the
    same features in a layer, with its peak signal-to-noise ratio; with --style a
    second row of panels has the same Gram matrices in the first layer, the first
    two, and so on. All begin with the same noise. Ctrl-C writes the panels that
    are done; an unfinished sheet cannot be resumed.
    """
    from apps.shared.options import OptionError, check_values
    from apps.shared.output_file import OutputFile
    from apps.shared.sheet import FORMATS, write_sheet

    if "image" not in given:
        raise OptionError("say which picture", {}, "minidl style reconstruct --help")
    file = OutputFile(output, overwrite, FORMATS, op="reconstruct")
    settings = Settings(**given)
    check_values(settings)
    if settings.snapshots is not None:
        raise OptionError(
            "the sheet has no strip of snapshots", {"--snapshots": settings.snapshots},
            "minidl style gatys has one, in its report",
        )  # fmt: skip

    from apps.style.reconstruct.panels import reconstruct as make_panels
    from apps.style.reconstruct.sheet import layout

    sheet = make_panels(settings, console.note)
    write_sheet(file.path, op="reconstruct", **layout(sheet, settings.net))
    for panel in sheet.panels:
        console.line(panel.text())
    console.line(f"sheet: {output}")
    console.json({"sheet": output, "panels": [panel.as_json() for panel in sheet.panels]})
    if sheet.interrupted:
        raise KeyboardInterrupt("interrupted; the sheet has the panels that were done")
