"""The loss of Gatys et al. 2016: content, style and total variation of a picture.

    L = a sum_l w_l content_l + b sum_l w_l sum_r w_r style_lr + c TV

with the weights a, b, c of content, style and total variation, over layers l and, with several
styles or masks, regions r. Blending the losses of several styles
is blending their Gram matrices, up to a constant.
"""

from __future__ import annotations

from typing import Any

import minidl
from apps.style.gatys.pictures import Pictures, Size, resized_mask
from apps.style.gatys.settings import Settings
from apps.style.loss_network import LossNetwork
from apps.style.losses import (
    content_divisor,
    gram,
    squared_distance,
    squared_size,
    style_loss,
    total_variation,
)
from apps.style.optimize.objective import STAYS, Objective, Shift, shifted
from minidl.device import array_module
from minidl.tensor import Tensor

CACHED = 200 << 20  # bytes of content features of different shifts that are kept


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
        self.layers = net.check_layers([*self.content_layers, *self.style_layers])
        self.content_weight, self.style_weight, self.tv_weight = settings.weights_of_losses()
        self.regions = pictures.regions
        self.mask = pictures.mask_at(size)
        self.content = pictures.content_at(size).tensor()
        self.contents: dict[Shift, dict[str, Tensor]] = {}
        with minidl.no_grad():
            self.divisors = {
                name: content_divisor(self.norm, *sizes)
                for name, sizes in self.content_sizes().items()
            }
            self.targets = [
                self.grams_of(pictures.style_at(r.style, size).tensor(), r.style_mask)
                for r in self.regions
            ]  # for each region: layer -> Gram matrix

    def content_sizes(self) -> dict[str, tuple[float, int]]:
        """Layer -> sum of the squares of the content's features, and how many they are."""
        found = self.net.features(self.content, self.content_layers)
        return {name: (squared_size(x), x.data.size) for name, x in found.items()}

    def grams_of(self, x: Tensor, mask: Any) -> dict[str, Tensor]:
        """Layer -> Gram matrix of a picture, or of a part of it."""
        found = self.net.features(x, self.style_layers)
        return {name: gram(y, mask_of(mask, y)) for name, y in found.items()}

    # --- the losses -----------------------------------------------------------------------------

    def losses(self, x: Tensor, shift: Shift = STAYS) -> dict[str, Tensor]:
        found = self.net.features(x, self.layers)
        parts = {}
        if self.content_weight:
            parts["content"] = self.content_part(found, self.content_at(shift))
        if self.style_weight:
            grams = [
                {name: gram(found[name], mask_of(r.content_mask, found[name]))
                 for name in self.style_layers}
                for r in self.regions
            ]  # fmt: skip
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
        """The weighted style loss, from the Gram matrices of each region."""
        return self.style_weight * added([
            region.weight * weight * style_loss(G[name], A[name], self.norm)
            for region, G, A in zip(self.regions, grams, self.targets)
            for name, weight in self.style_layers.items()
        ])  # fmt: skip

    def content_at(self, shift: Shift) -> dict[str, Tensor]:
        """The content's features, shifted as the picture; those of some shifts are kept."""
        if shift in self.contents:
            return self.contents[shift]
        with minidl.no_grad():
            found = self.net.features(shifted(self.content, shift), self.content_layers)
        nbytes = sum(x.data.nbytes for x in found.values())
        if (len(self.contents) + 1) * nbytes <= CACHED:
            self.contents[shift] = found
        return found

    def evaluate(self, x: Tensor, shift: Shift = STAYS) -> dict[str, float]:
        losses = super().evaluate(x, shift)
        self.keep_outside(x)
        return losses

    def keep_outside(self, x: Tensor) -> None:
        """No gradient where no mask is, so nothing changes there."""
        if self.mask is not None:
            xp = array_module(x.data)
            x.grad.data[...] *= xp.asarray(self.mask > 0)


def added(parts: list[Tensor]) -> Tensor:
    first, *others = parts
    return sum(others, first)


def mask_of(mask: Any, features: Tensor) -> Any:
    """A mask at the size of features."""
    if mask is None:
        return None
    xp = array_module(features.data)
    return xp.asarray(resized_mask(mask, features.shape[2:]))
