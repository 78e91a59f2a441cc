"""The loss of Gatys et al. 2016: content, style and total variation of a picture.

    L = a sum_l w_l content_l + b sum_l w_l sum_r w_r style_lr + c TV

with the weights a, b, c of content, style and total variation, over layers l and, with several
styles or masks, regions r. With the norms "paper" and "port", blending the losses of several
styles is blending their Gram matrices, up to a constant; with "target" each style's loss is divided
by the size of its own Gram matrix, so that a style of strong features does not outweigh the others.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

import minidl
from apps.style.gatys.pictures import Pictures, Size, resized_mask
from apps.style.gatys.settings import Settings
from apps.style.loss_network import LossNetwork
from apps.style.losses import (
    added,
    content_divisor,
    grad_of,
    gram,
    squared_distance,
    squared_size,
    style_loss,
    total_variation,
)
from apps.style.optimize.objective import KEPT, STAYS, Objective, Shift, shifted
from minidl.device import array_module
from minidl.tensor import Tensor

MaskAt = Callable[[Size], Any]  # the size of features -> a mask of them, None for all of them


class GatysObjective(Objective):
    """What a picture of one size is compared with.

    Args:
        net: the loss network.
        settings: layers, weights, norm.
        pictures: content, styles and masks.
        size: height and width of the picture.

    Raises:
        ArgumentError: no such layer.
        ShapeError: a picture is too small for the layers.
    """

    def __init__(self, net: LossNetwork, settings: Settings, pictures: Pictures, size: Size):
        self.net, self.norm, self.size = net, settings.loss_norm, size
        self.content_layers, self.style_layers = settings.of_content(), settings.of_style()
        net.check_layers([*self.content_layers, *self.style_layers])
        self.layers = settings.layers()
        self.content_weight, self.style_weight, self.tv_weight = settings.weights_of_losses()
        self.regions = pictures.regions
        self.mask = pictures.mask_at(size)
        self.content = pictures.content_at(size).tensor()
        # The parts of the content that have a Gram matrix each: all of it where none has a mask.
        masks = [region.content_mask for region in self.regions]
        self.masks = [None] if masks[0] is None else [resized_mask(mask, size) for mask in masks]
        self.moved_masks: dict[tuple[int, Shift, Size], Any] = {}
        with minidl.no_grad():
            self.divisors = {
                name: content_divisor(self.norm, *sizes)
                for name, sizes in (self.content_sizes() if self.content_weight else {}).items()
            }
            self.targets = [
                self.grams_of(
                    pictures.style_at(r.style, size).tensor(), partial(resized_mask, r.style_mask)
                )
                for r in (self.regions if self.style_weight else ())
            ]  # for each region: layer -> Gram matrix

    def content_sizes(self) -> dict[str, tuple[float, int]]:
        """Layer -> sum of the squares of the content's features, and how many they are."""
        found = self.net.features(self.content, self.content_layers)
        return {name: (squared_size(x), x.data.size) for name, x in found.items()}

    def grams_of(self, x: Tensor, mask_at: MaskAt) -> dict[str, Tensor]:
        """Layer -> Gram matrix of a picture, or of a part of it."""
        return self.grams(self.net.features(x, self.style_layers), mask_at)

    def grams(self, found: dict[str, Tensor], mask_at: MaskAt) -> dict[str, Tensor]:
        """Layer -> Gram matrix of features, or of a part of them."""
        return {
            name: gram(found[name], mask_at(found[name].shape[2:])) for name in self.style_layers
        }

    def moved_mask(self, number: int, shift: Shift, size: Size) -> np.ndarray | None:
        """A mask of the content, shifted as the picture, at the size of features of that."""
        mask, key = self.masks[number], (number, shift, size)
        if mask is None:
            return None
        if key not in self.moved_masks:
            if sum(mask.nbytes for mask in self.moved_masks.values()) > KEPT:
                self.moved_masks.clear()
            moved = np.pad(mask, [(n, 0) for n in shift], "edge")
            self.moved_masks[key] = resized_mask(moved, size)
        return self.moved_masks[key]

    def masks_at(self, shift: Shift) -> list[MaskAt]:
        """The masks of the content by the size of features, of a picture that is shifted."""
        return [partial(self.moved_mask, number, shift) for number in range(len(self.masks))]

    # --- the losses -----------------------------------------------------------------------------

    def losses(self, x: Tensor, shift: Shift = STAYS) -> dict[str, Tensor]:
        found = self.net.features(x, self.layers)
        parts = {}
        if self.content_weight:
            parts["content"] = self.content_part(found, self.content_at(shift))
        if self.style_weight:
            grams = [self.grams(found, mask_at) for mask_at in self.masks_at(shift)]
            parts["style"] = self.style_part(grams)
        if self.tv_weight:
            parts["tv"] = total_variation(x, self.norm) * self.tv_weight
        return parts

    def content_part(self, found: dict[str, Tensor], targets: dict[str, Tensor]) -> Tensor:
        """The weighted content loss, from features of the picture and of the content."""
        return self.content_weight * added([
            weight * squared_distance(found[name], targets[name]) / self.divisors[name]
            for name, weight in self.content_layers.items()
        ])  # fmt: skip

    def style_part(self, grams: list[dict[str, Tensor]]) -> Tensor:
        """The weighted style loss, from the Gram matrices of each mask."""
        if len(grams) < len(self.regions):  # several styles of all of the picture
            grams = grams * len(self.regions)
        return self.style_weight * added([
            region.weight * weight * style_loss(G[name], A[name], self.norm)
            for region, G, A in zip(self.regions, grams, self.targets)
            for name, weight in self.style_layers.items()
        ])  # fmt: skip

    def content_at(self, shift: Shift) -> dict[str, Tensor]:
        """The content's features, shifted as the picture."""
        moved = shifted(self.content, shift)
        return self.kept.at(shift, lambda: self.net.features(moved, self.content_layers))

    def evaluate(self, x: Tensor, shift: Shift = STAYS) -> dict[str, float]:
        losses = super().evaluate(x, shift)
        self.keep_outside(x)
        return losses

    def keep_outside(self, x: Tensor) -> None:
        """No gradient where no mask is, so nothing changes there."""
        if self.mask is not None:
            xp = array_module(x.data)
            grad_of(x).data[...] *= xp.asarray(self.mask > 0)
