"""`minidl draw check` and `minidl caption check`: what is wrong with pictures and captions."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from apps.shared.console import Console
from minidl.errors import Hint

# Facts and findings about what drawing alone asks of data: classes, and encoders of letters.
FOR_DRAWING = ("classes", "one class", "single pictures", "long captions", "odd characters")


def check_data(
    data: str, data_dir: str | None, console: Console, without: Collection[str] = ()
) -> dict[str, Any]:
    """Print what the data are and what is wrong with them.

    Args:
        data, data_dir: as of minidl.data.open_captioned.
        console: where it is printed.
        without: facts and kinds of findings that do not matter to the application.

    Returns:
        what --json prints: "data", "facts", "findings", and "serious": whether one is an error.
    """
    from minidl.data.captioned import check_captioned

    report = check_captioned(data, data_dir).without(without)
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
