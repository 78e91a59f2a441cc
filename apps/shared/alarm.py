"""An alarm when what is learned goes wrong, with what to do about it.

An application lists its troubles. Each is said once it has lasted for some epochs, and again when
it comes back after it was over. What is usual at first is looked for after some steps only.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from minidl.callbacks import Callback

PATIENCE = 3  # epochs in a row


@dataclass(frozen=True)
class Trouble:
    """Something that goes wrong while a network learns.

    Args:
        name: for the state of a run.
        seen: whether an epoch's metrics show it.
        says: what is going on.
        hint: what may help.
        after: steps of a run in which it is usual, and not looked for.
    """

    name: str
    seen: Callable[[dict[str, Any]], bool]
    says: str
    hint: str
    after: int = 0


class Alarm(Callback):
    """Says when one of the troubles has lasted.

    Args:
        troubles: to listen for.
        log: called with a line of text.

    Attributes:
        heard: {"epoch", "name", "says", "hint"} of each alarm of the run so far.
    """

    order = -5  # after what adds metrics, before what saves them
    watches = True

    def __init__(self, troubles: Sequence[Trouble], log: Callable[[str], None]):
        self.troubles, self.log = troubles, log
        self.heard: list[dict[str, Any]] = []
        self.lasting: dict[str, int] = {trouble.name: 0 for trouble in troubles}

    def on_epoch_end(self, run) -> None:
        for trouble in self.troubles:
            seen = run.step > trouble.after and trouble.seen(run.metrics)
            lasting = self.lasting[trouble.name] + 1 if seen else 0
            self.lasting[trouble.name] = lasting
            if lasting == PATIENCE:
                said = {"name": trouble.name, "says": trouble.says, "hint": trouble.hint}
                self.heard.append({"epoch": run.epoch, **said})
                self.log(f"epoch {run.epoch}: {trouble.says}\n  hint: {trouble.hint}")

    def state_dict(self) -> dict[str, Any]:
        return {"heard": self.heard, "lasting": self.lasting}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.heard = list(state["heard"])
        self.lasting |= state["lasting"]
