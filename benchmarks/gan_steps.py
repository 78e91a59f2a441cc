"""A training step of two networks: the discriminator's and the generator's, in either library.

The step of a recipe is written once, for both: `library` is minidl or torch.

    cls      GAN-CLS with cross-entropy (Reed et al. 2016, algorithm 1)
    small    the same with hinges, a projection discriminator and new noise for the generator: the
             preset of `minidl draw` for CPUs
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Recipe:
    """How a GAN learns.

    Args:
        text, noise: numbers that the generator draws from.
        rates: Adam's learning rates, of generator and discriminator.
        betas: Adam's.
        step: (library, nets, optimizers, arrays) -> function that takes one step of each.
    """

    text: int
    noise: int
    rates: tuple[float, float]
    betas: tuple[float, float]
    step: Callable[..., Callable]


def batch(recipe: Recipe, shape: tuple[int, ...]) -> list[np.ndarray]:
    """Pictures, embeddings of their texts, those of other pictures, noise twice."""
    rng = np.random.default_rng(0)
    N = shape[0]
    sizes = shape, (N, recipe.text), (N, recipe.noise), (N, recipe.noise)
    pictures, text, *noise = (rng.standard_normal(size, np.float32) for size in sizes)
    return [pictures, text, np.roll(text, 1, axis=0), *noise]


def make_step(library: Any, recipe: Recipe, nets: Sequence[Any], arrays: list[Any]) -> Callable:
    """The step of a library, with its networks and its tensors."""
    optimizers = [
        library.optim.Adam(net.parameters(), lr=rate, betas=recipe.betas)
        for net, rate in zip(nets, recipe.rates)
    ]
    return recipe.step(library, nets, optimizers, arrays)


def cls_step(library: Any, nets: Sequence[Any], optimizers: list, arrays: list) -> Callable:
    generator, discriminator = nets
    pictures, text, wrong_text, noise, _ = arrays
    loss_of = library.nn.functional.binary_cross_entropy_with_logits
    ones, zeros = library.ones(len(text)), library.zeros(len(text))

    def step():
        for optimizer in optimizers:
            optimizer.zero_grad()
        drawn = generator(noise, text)
        loss = loss_of(discriminator(pictures, text), ones)
        loss = loss + 0.5 * loss_of(discriminator(pictures, wrong_text), zeros)
        loss = loss + 0.5 * loss_of(discriminator(drawn.detach(), text), zeros)
        loss.backward()
        optimizers[1].step()
        loss = loss_of(discriminator(drawn, text), ones)
        loss.backward()
        optimizers[0].step()

    return step


def small_step(library: Any, nets: Sequence[Any], optimizers: list, arrays: list) -> Callable:
    generator, discriminator = nets
    pictures, text, wrong_text, noise, new_noise = arrays
    relu = library.nn.functional.relu

    def step():
        with library.no_grad():
            drawn = generator(noise, text)
        seen = discriminator.look(pictures)
        real, wrong = discriminator.judge(seen, text), discriminator.judge(seen, wrong_text)
        fake = discriminator(drawn, text)
        loss = relu(1 - real).mean() + 0.5 * relu(1 + wrong).mean() + relu(1 + fake).mean()
        optimizers[1].zero_grad()
        loss.backward()
        optimizers[1].step()
        discriminator.requires_grad_(False)
        loss = -discriminator(generator(new_noise, text), text).mean()
        optimizers[0].zero_grad()
        loss.backward()
        optimizers[0].step()
        discriminator.requires_grad_(True)

    return step


RECIPES = {
    "cls": Recipe(1024, 100, (2e-4, 2e-4), (0.5, 0.999), cls_step),
    "small": Recipe(128, 32, (4e-4, 8e-4), (0.0, 0.99), small_step),
}
