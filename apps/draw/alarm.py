"""An alarm when a GAN has stopped learning, with what to do about it.

    the discriminator has won   it is right about nearly all pictures, real and drawn: what it says
                                to the generator is the same whatever that draws
    the generator has won       it takes nearly all drawn pictures for real ones
    collapse                    pictures of one caption and different noise are almost the same

Each is said once it has lasted for some epochs, and again when it comes back after it was over.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from minidl.callbacks import Callback

PATIENCE = 3  # epochs in a row
WON, LOST = 0.98, 0.1  # accuracies of a discriminator that has won, and of one that has lost
ALIKE = 0.1  # of the diversity of real pictures


@dataclass(frozen=True)
class Trouble:
    """Something that goes wrong while the two networks learn.

    Args:
        name: for the state of a run.
        seen: whether an epoch's metrics show it.
        says: what is going on.
        hint: what may help.
    """

    name: str
    seen: Callable[[dict[str, Any]], bool]
    says: str
    hint: str


TROUBLES = (
    Trouble(
        "discriminator",
        lambda m: min(m["real_accuracy"], m["drawn_accuracy"]) > WON,
        "the discriminator has won: it tells nearly all drawn pictures from real ones, so the "
        "generator learns little from it",
        "in a new run, a lower --lr-discriminator, a smaller --ndf, or more pictures",
    ),
    Trouble(
        "generator",
        lambda m: m["drawn_accuracy"] < LOST,
        "the generator has won: the discriminator takes nearly all drawn pictures for real ones",
        "in a new run, a higher --lr-discriminator, or a larger --ndf",
    ),
    Trouble(
        "collapse",
        lambda m: m.get("diversity", 1.0) < ALIKE,
        "the samples collapse: pictures of one caption are almost the same, whatever the noise",
        "in a new run, lower --lr-generator and --lr-discriminator, or another --seed",
    ),
)


class Alarm(Callback):
    """Says when one of the two networks has won, and when the samples collapse.

    Args:
        log: called with a line of text.

    Attributes:
        heard: {"epoch", "name", "says", "hint"} of each alarm of the run so far.
    """

    order = -5  # after what adds metrics, before what saves them

    def __init__(self, log: Callable[[str], None]):
        self.log = log
        self.heard: list[dict[str, Any]] = []
        self.lasting: dict[str, int] = {trouble.name: 0 for trouble in TROUBLES}

    def on_epoch_end(self, run) -> None:
        for trouble in TROUBLES:
            lasting = self.lasting[trouble.name] + 1 if trouble.seen(run.metrics) else 0
            self.lasting[trouble.name] = lasting
            if lasting == PATIENCE:
                said = {"name": trouble.name, "says": trouble.says, "hint": trouble.hint}
                self.heard.append({"epoch": run.epoch, **said})
                self.log(f"epoch {run.epoch}: {trouble.says}\n  hint: {trouble.hint}")

    def state_dict(self) -> dict[str, Any]:
        return {"heard": self.heard, "lasting": self.lasting}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.heard, self.lasting = list(state["heard"]), dict(state["lasting"])
