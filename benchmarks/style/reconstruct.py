"""What each layer of a network knows of a picture: PSNR and style losses, and the sheet.

    python -m benchmarks.style.reconstruct

It writes a section of RESULTS.md, and the sheet that `minidl style reconstruct` makes, as a small
JPEG, to benchmarks/pictures.
"""

from __future__ import annotations

import argparse

from apps.shared.sheet import draw_sheet
from apps.style.reconstruct.panels import Panel, reconstruct
from apps.style.reconstruct.settings import Settings
from apps.style.reconstruct.sheet import layout
from benchmarks.results import RESULTS, provenance, table, write_section
from benchmarks.style.sheets import save_small, wheel

PICTURE, SIZE = "astronaut.png", 128
CELL = 104  # pixels of a panel on the sheet: it stays below 60 kB
SHEET = RESULTS.parent / "pictures" / "style-layers.jpg"


def write() -> None:
    """Write the section and the sheet."""
    sheet = reconstruct(Settings(image=wheel(PICTURE), size=SIZE, style=True), print)
    save_small(draw_sheet(**layout(sheet, "squeezenet") | {"cell": CELL}), SHEET)
    columns = ["from", "", "loss", "that of noise", "PSNR"]
    text = [
        f"`minidl style reconstruct {PICTURE} --size {SIZE} --style`: from noise, "
        f"{Settings(image='').iterations} iterations a panel. The further back a layer, the less "
        "its features say of colours and edges, and the more of its style is in larger forms.",
        table(columns, [row(panel) for panel in sheet.panels]),
        f"![The reconstructions]({SHEET.relative_to(RESULTS.parent)})",
        "By `python -m benchmarks.style --parts reconstruct`. "
        + provenance("numpy", "numba", "scikit-image"),
    ]
    write_section("style.reconstruct", "Neural style: what a layer knows", "\n\n".join(text))


def row(panel: Panel) -> list[str]:
    near = "" if panel.psnr is None else f"{panel.psnr:.1f} dB"
    layers = ", ".join(panel.layers)
    return [panel.kind, layers, f"{panel.loss:.3g}", f"{panel.first_loss:.3g}", near]


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args()
    write()
