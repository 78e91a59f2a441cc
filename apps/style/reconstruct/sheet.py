"""The sheet of reconstructions: the picture first, then its panels, content above style."""

from __future__ import annotations

from typing import Any

from apps.shared.photo import size_text
from apps.shared.pictures import Picture
from apps.style.reconstruct.panels import Panel, Sheet

LARGEST = 224  # pixels of a panel


def layout(sheet: Sheet, net: str) -> dict[str, Any]:
    """The arguments of shared.sheet.draw_sheet and write_sheet.

    Args:
        sheet: what was reconstructed.
        net: name of the loss network.
    """
    photo = sheet.photo
    original = Picture(photo.bytes, "the picture", size_text(photo.size))
    contents = [picture_of(panel) for panel in sheet.panels if panel.kind == "content"]
    styles = [picture_of(panel) for panel in sheet.panels if panel.kind == "style"]
    return {
        "pictures": [original, *contents, *([original, *styles] if styles else [])],
        "title": f"What {net} knows of a picture, layer by layer",
        "columns": len(contents) + 1,
        "cell": min(max(photo.size), LARGEST),
    }


def picture_of(panel: Panel) -> Picture:
    """A panel with what is to be said of it."""
    near = f"loss 1/{panel.first_loss / max(panel.loss, 1e-30):,.0f} of noise's"
    near = near if panel.psnr is None else f"{panel.psnr:.1f} dB"
    return Picture(panel.photo.bytes, panel.name, near if panel.finished else "not finished")
