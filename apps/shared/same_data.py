"""Whether data are still those that a run began with."""

from __future__ import annotations

from typing import Any

from minidl.errors import DataError


def check_same_data(facts: dict[str, Any], before: dict[str, Any]) -> None:
    """The facts about the data are those that the checkpoint of a run holds.

    Args:
        facts: name -> number or hash.
        before: what the checkpoint holds beside the weights.

    Raises:
        DataError: names the first that differs.
    """
    for name, now in facts.items():
        if now != before.get(name):
            raise DataError(
                "resume", f"the data have changed since the run began: other {name}",
                {"now": now, "then": before.get(name)}, "start a new run",
            )  # fmt: skip
