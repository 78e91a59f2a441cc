"""The sheet of reconstructions: the picture first, then its panels, content above style."""

from __future__ import annotations

from typing import Any

from apps.shared.pictures import Picture
from apps.style.reconstruct.panels import Sheet

LARGEST = 224  # pixels of a panel


def layout(sheet: Sheet, net: str) -> dict[str, Any]:
    """The arguments of shared.sheet.draw_sheet and write_sheet.

    Args:
        sheet: what was reconstructed.
        net: name of the loss network.
    """
    photo = sheet.photo
    original = Picture(photo.bytes, "the picture", f"{photo.width}x{photo.height}")
    contents = [panel.picture() for panel in sheet.panels if panel.kind == "content"]
    styles = [panel.picture() for panel in sheet.panels if panel.kind == "style"]
    return {
        "pictures": [original, *contents, *([original, *styles] if styles else [])],
        "title": f"What {net} knows of a picture, layer by layer",
        "columns": len(contents) + 1,
        "cell": min(max(photo.size), LARGEST),
    }
