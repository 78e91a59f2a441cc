"""From the options of `minidl style reconstruct` to the sheet and its report."""

from __future__ import annotations

from typing import Any

from apps.shared.options import to_dict
from apps.shared.sheet import FORMATS, write_sheet
from apps.style.reconstruct.panels import Panel, reconstruct
from apps.style.reconstruct.report import write_report
from apps.style.reconstruct.settings import Settings, check_settings
from apps.style.reconstruct.sheet import layout
from apps.style.resume import Order, RunFiles


def make_sheet(order: Order) -> dict[str, Any]:
    """Make the sheet; write it and its report.

    Returns:
        what --json prints.
    """
    order.check_given("reconstruct", image="IMAGE")
    files = RunFiles(order, "reconstruct", tuple(FORMATS))
    settings = files.settings(Settings)
    check_settings(settings, order.given)
    sheet = reconstruct(settings, order.note, files)
    write_sheet(files.output.path, op="reconstruct", **layout(sheet, settings.net))
    write_report(files.report, sheet, to_dict(settings), order.command)
    if not sheet.interrupted:
        files.forget()
    return {
        "sheet": str(files.output.path), "report": str(files.report),
        "panels": [as_json(panel) for panel in sheet.panels],
        "seconds": sum(panel.seconds for panel in sheet.panels),
        "interrupted": sheet.interrupted, "settings": to_dict(settings),
    }  # fmt: skip


def as_json(panel: Panel) -> dict[str, Any]:
    return {
        "kind": panel.kind, "layers": panel.layers, "loss": panel.loss,
        "first_loss": panel.first_loss, "psnr": panel.psnr, "finished": panel.finished,
    }  # fmt: skip
