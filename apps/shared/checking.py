"""`minidl draw check` and `minidl caption check`: what is wrong with pictures and captions."""

from __future__ import annotations

from typing import Any

from apps.shared.console import Console
from minidl.errors import Hint


def check_data(data: str, data_dir: str | None, console: Console) -> dict[str, Any]:
    """Print what the data are and what is wrong with them; what --json prints.

    Args:
        data, data_dir: as of minidl.data.open_captioned.
        console: where it is printed.
    """
    from minidl.data.captioned import check_captioned

    report = check_captioned(data, data_dir)
    for name, text in report.facts.items():
        console.line(f"{name}: {text}")
    for finding in report.findings:
        console.line(f"{'error' if finding.serious else 'note'}: {finding}")
        if finding.hint:
            console.line(f"  hint: {spelled(finding.hint)}")
    if not report.findings:
        console.line("nothing is wrong with these data")
    findings = [
        {"kind": one.kind, "rule": one.rule, "names": list(one.names), "serious": one.serious}
        for one in report.findings
    ]
    return {"data": data, "facts": report.facts, "findings": findings, "serious": report.serious}


def spelled(hint: str) -> str:
    """A hint with options in place of Python's arguments."""
    words = {"skip_missing": "--skip-missing"}
    return hint.in_words(lambda name, value: words.get(name)) if isinstance(hint, Hint) else hint
