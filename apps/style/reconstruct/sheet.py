"""The sheet of reconstructions: the picture first, then its panels, content above style."""

from __future__ import annotations

from apps.shared.output_file import OutputFile
from apps.shared.pictures import Picture
from apps.shared.sheet import write_sheet
from apps.style.reconstruct.panels import Sheet

LARGEST = 224  # pixels of a panel


def write(file: OutputFile, sheet: Sheet, net: str) -> None:
    """Write the sheet as a PNG or JPEG.

    Args:
        file: the output.
        sheet: what was reconstructed.
        net: name of the loss network.
    """
    photo = sheet.photo
    original = Picture(photo.bytes, "the picture", f"{photo.width}x{photo.height}")
    contents = [panel.picture() for panel in sheet.panels if panel.kind == "content"]
    styles = [panel.picture() for panel in sheet.panels if panel.kind == "style"]
    rows = [original, *contents, *([original, *styles] if styles else [])]
    title = f"What {net} knows of a picture, layer by layer"
    cell = min(max(photo.size), LARGEST)
    write_sheet(file.path, rows, file.op, title, columns=len(contents) + 1, cell=cell)
