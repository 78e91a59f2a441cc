"""What the network says of the same pictures, after each epoch.

The likeliest word each time, without a search: as good to see what was learned, and fast. All of it
follows from the weights, so that a run that goes on says the same as one that was never stopped.

    val_cider        CIDEr-D of the sentences
    val_distinct     different sentences / sentences
    val_perplexity   e to the loss of captions: among how many words it hesitates
    val_all_right    of drawn flowers: sentences that name all six attributes, and all of them
                     right; told["right"] has the share of each attribute. Perplexity does not
                     tell a network that cannot count petals from one that does not know which of
                     the templates is meant
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

import minidl
from apps.caption.captioner import Captioner, Decoding, captions_of_features
from apps.caption.data import Part
from apps.caption.metrics import CiderD, distinct_share
from apps.caption.score.attributes import judged
from apps.shared.alarm import Trouble
from minidl.callbacks import Callback
from minidl.data.flowers import COMBINATIONS
from minidl.nn import evaluating
from minidl.tensor import Tensor

MOST = 500  # pictures of which it speaks
SHOWN = 8  # of them, whose sentences are kept
TOLD = 2  # of those, in the progress lines
ALIKE = 0.05  # of the variety of the references: less is an alarm
QUICK = Decoding(beam=1)


class Samples(Callback):
    """Says sentences, and measures them.

    Args:
        captioner: of the network that learns.
        part: pictures that are watched.
        loader: of all of these, which has their features while the CNN takes those.
        prefix: of the metrics, "val_" unless it learns from these pictures.
        is_drawn: whether they are drawn flowers, whose sentences can be read back.

    Attributes:
        told: of each epoch {"epoch", "said": sentences of the pictures that are shown, "right":
            of each attribute the share of sentences that are right about it, {} if not drawn}.
    """

    order = -10  # before those that show, save and watch the metrics, and the alarm
    watches = True

    def __init__(
        self, captioner: Captioner, part: Part, loader: Any, prefix: str, is_drawn: bool = False
    ):
        self.captioner, self.loader, self.prefix = captioner, loader, prefix
        self.chosen = np.linspace(0, len(part) - 1, min(MOST, len(part))).astype(int)
        self.part = part.subset(self.chosen)
        self.cider = CiderD(self.part.references)
        self.shown = np.linspace(0, len(self.part) - 1, min(SHOWN, len(self.part))).astype(int)
        self.told: list[dict[str, Any]] = []
        self.of_six = np.zeros(0, int)  # places of flowers whose sentences name six attributes
        if is_drawn and self.part.classes is not None:
            self.of_six = np.flatnonzero(self.part.classes < len(COMBINATIONS))

    def features(self) -> np.ndarray:
        """What the CNN makes of the pictures now."""
        if self.loader.features is not None:
            net = self.captioner.net
            with evaluating(net), minidl.no_grad():
                return net.look(Tensor(np.array(self.loader.features[self.chosen]))).numpy()
        return self.captioner.features(self.part.picture(i) for i in range(len(self.part)))

    def on_epoch_end(self, run) -> None:
        found = captions_of_features([self.captioner], [self.features()], QUICK)
        words = [best[0].words for best in found]
        metrics = {"cider": self.cider.score(words)[0], "distinct": distinct_share(words)}
        losses = [f"{self.prefix}caption_loss", f"{self.prefix}loss"]
        loss = next((run.metrics[name] for name in losses if name in run.metrics), None)
        if loss is not None:
            metrics["perplexity"] = math.exp(min(loss, 700.0))
        right: dict[str, float] = {}
        if len(self.of_six):
            flowers = COMBINATIONS[self.part.classes[self.of_six]]
            found = judged([words[i] for i in self.of_six], flowers)
            metrics["all_right"], right = found["all_right"], found["attributes"]
        run.metrics |= {self.prefix + name: value for name, value in metrics.items()}
        said = [" ".join(words[i]) for i in self.shown]
        self.told.append({"epoch": run.epoch, "said": said, "right": right})

    def state_dict(self) -> dict[str, Any]:
        return {"told": self.told}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.told = list(state["told"])

    def pictures(self) -> list[tuple[str, np.ndarray, str]]:
        """Name, picture and first reference of those that are shown."""
        part = self.part
        return [(part.names[i], part.picture(i), part.captions[i][0]) for i in self.shown]

    def troubles(self) -> tuple[Trouble, ...]:
        """What the alarm listens for: the same sentence everywhere."""
        count = len(self.part)
        usual = distinct_share([texts[0] for texts in self.part.references])
        limit = max(1, ALIKE * usual * count) / count if usual * count > 1 else 0.0
        name = self.prefix + "distinct"
        return (
            Trouble(
                "alike",
                lambda metrics: metrics[name] <= limit,
                "it says the same of nearly all pictures",
                "in a new run, a lower --lr, more --epochs, or a --cnn with --weights that sees "
                "what the captions are about",
            ),
        )


class PrintSamples(Callback):
    """A few of the sentences behind the line of each epoch.

    Args:
        samples: called before this callback.
        log: called with a line of text.
    """

    order = Callback.order + 1  # behind the progress
    watches = True

    def __init__(self, samples: Samples, log: Callable[[str], None]):
        self.samples, self.log = samples, log
        self.references = [reference for _, _, reference in samples.pictures()]

    def on_epoch_end(self, run) -> None:
        said, right = self.samples.told[-1]["said"], self.samples.told[-1]["right"]
        if right:
            parts = [f"{name} {100 * value:.0f}" for name, value in right.items()]
            self.log(f"    right, %: {', '.join(parts)}")
        for ours, theirs in list(zip(said, self.references))[:TOLD]:
            self.log(f"    said: {ours}\n    true: {theirs}")
