"""One step of both networks, for minidl.fit(step=...).

    1. the discriminator   real pictures with their captions; drawn ones; with cls also real ones
                           with captions of another class. Each is a batch of its own, so that no
                           batch norm sees real and drawn pictures together, unless asked
    2. the generator       draws anew; with int also for embeddings between two captions

The discriminator sees all pictures changed at random, where that is asked for (changes.py).

All that is random is in the batch (batches.py).
"""

from __future__ import annotations

from typing import Any

import minidl
from apps.draw.changes import changed
from apps.draw.gradients import passing_gradients
from apps.draw.losses import Weights, discriminator_loss, generator_loss, with_interpolated
from apps.draw.networks import DISCRIMINATOR, GENERATOR
from apps.draw.settings import Settings
from minidl.nn import Module
from minidl.tensor import Tensor
from minidl.training.run import Run


class GanStep:
    """The step of a run.

    Args:
        settings: of the run.
    """

    def __init__(self, settings: Settings):
        self.settings = settings
        self.weights = Weights(settings.wrong_weight, settings.drawn_weight)

    def __call__(self, run: Run, batch: dict[str, Tensor], targets: None) -> dict[str, Any]:
        """Both networks' steps; returns losses, and how often the discriminator was right."""
        generator = run.model.get_submodule(GENERATOR)
        discriminator = run.model.get_submodule(DISCRIMINATOR)
        with minidl.no_grad():
            drawn = generator(batch["noise"], batch.get("drawn_text"))
        seen = batch | {"pictures": changed(batch["pictures"], batch, "real")}
        drawn = changed(drawn, batch, "drawn")
        real, wrong, fake = self.scores(discriminator, seen, drawn)
        d_loss = discriminator_loss(self.settings.loss, real, fake, wrong, self.weights)
        run.minimize(d_loss, DISCRIMINATOR)
        with passing_gradients(discriminator):
            g_loss = self.of_generator(generator, discriminator, batch)
            run.minimize(g_loss, GENERATOR)
        values = {
            "discriminator_loss": d_loss, "generator_loss": g_loss,
            "real_accuracy": share(real, 1), "drawn_accuracy": share(fake, -1),
        }  # fmt: skip
        return values if wrong is None else values | {"wrong_accuracy": share(wrong, -1)}

    def scores(
        self, discriminator: Module, batch: dict[str, Tensor], drawn: Tensor
    ) -> tuple[Tensor, Tensor | None, Tensor]:
        """What the discriminator says to real pictures, to those with wrong captions, to drawn."""
        real, text = batch["pictures"], batch.get("text")
        if self.settings.one_batch:
            return self.scores_of_one_batch(discriminator, batch, drawn)
        texts = [text] + ([batch["wrong"]] if "wrong" in batch else [])
        right, *wrong = scores_with(discriminator, real, texts)
        (fake,) = scores_with(discriminator, drawn, [batch.get("drawn_text")])
        return right, wrong[0] if wrong else None, fake

    def scores_of_one_batch(
        self, discriminator: Module, batch: dict[str, Tensor], drawn: Tensor
    ) -> tuple[Tensor, Tensor | None, Tensor]:
        """The same with all pictures in one batch."""
        pictures = [batch["pictures"], drawn]
        texts = [batch[name] for name in ("text", "drawn_text", "wrong") if name in batch]
        if "wrong" in batch:
            pictures.append(batch["pictures"])
        text = minidl.cat(texts, 0) if texts else None
        found = discriminator(minidl.cat(pictures, 0), text)
        right, fake, *wrong = (found[i : i + len(drawn)] for i in range(0, len(found), len(drawn)))
        return right, wrong[0] if wrong else None, fake

    def of_generator(
        self, generator: Module, discriminator: Module, batch: dict[str, Tensor]
    ) -> Tensor:
        """The generator's loss."""
        text = batch.get("new_text")
        if self.settings.has_between:
            text = with_interpolated(batch["new_text"], batch["between"])
        drawn = changed(generator(batch["new_noise"], text), batch, "new")
        scores = discriminator(drawn, text)
        return generator_loss(self.settings.loss, scores)


def scores_with(
    discriminator: Module, pictures: Tensor, texts: list[Tensor | None]
) -> list[Tensor]:
    """Scores of one batch of pictures with several texts; looks once at them where it can."""
    if not hasattr(discriminator, "look"):
        return [discriminator(pictures, text) for text in texts]
    seen = discriminator.look(pictures)
    return [discriminator.judge(seen, text) for text in texts]


def share(scores: Tensor, sign: int) -> Tensor:
    """The share of scores that have a sign."""
    return (sign * scores.detach() > 0).float().mean()
