"""What training minimises: perceptual losses of the pictures that the network draws (Johnson et al.
2016, section 3.2).

For a batch of photographs c and what the network draws of them, y:

    content    distance of the features of y from those of c, or of the sharp photograph for
               super-resolution, at one or several layers (equation 2); the layer "pixels" is the
               picture itself
    style      distance of the Gram matrices of y from those of the style picture (equations 3, 4)
    tv         squared differences between neighbouring pixels of y

each with its weight, and in the mean over the pictures of the batch: every picture has a Gram
matrix of its own, and its distance is squared before the mean is taken. (A known port adds up the
differences over the batch first, where those of two pictures cancel.) The norms are those of
apps/style/losses.py; with "target" the numbers mean the same for every network and size, and the
content is divided by the mean square of all photographs of the batch, so that a dark one with
features near 0 does not outweigh the others.
"""

from __future__ import annotations

import minidl
from apps.style.fast.settings import Weights
from apps.style.loss_network import LossNetwork
from apps.style.losses import added, content_loss, gram, grams, style_loss, total_variation
from minidl.tensor import Tensor

PIXELS = "pixels"  # the picture itself as a layer


class Perception:
    """The losses of pictures against photographs and a style.

    Args:
        network: whose features are compared.
        weights: of the parts.
        style: the style picture, (1, 3, H, W) from 0 to 255; None without style (super-resolution).
    """

    def __init__(self, network: LossNetwork, weights: Weights, style: Tensor | None = None):
        self.network, self.weights = network, weights
        self.layers = [*weights.content_layers] if weights.content else []
        self.targets: dict[str, Tensor] = {}
        network.check_layers([name for name in weights.content_layers if name != PIXELS])
        if style is not None and weights.style:
            self.layers += weights.style_layers
            with minidl.no_grad():
                found = network.features(style, weights.style_layers)
                self.targets = {name: gram(x) for name, x in found.items()}

    def losses(self, drawn: Tensor, photographs: Tensor) -> dict[str, Tensor]:
        """The weighted parts of the loss.

        Args:
            drawn: (N, 3, H, W) from 0 to 255, what the network made.
            photographs: the same shape, what it should look like in content.

        Returns:
            "content", "style" and "tv" -> a number; those whose weight is 0 left out.
        """
        weights = self.weights
        found = self.features(drawn, self.layers)
        parts = {}
        if weights.content:
            with minidl.no_grad():
                wanted = self.features(photographs, weights.content_layers)
            parts["content"] = weights.content * self.content(found, wanted)
        if self.targets:
            parts["style"] = weights.style * self.style(found)
        if weights.tv:
            variation = total_variation(drawn, weights.norm)
            parts["tv"] = weights.tv * (
                variation if weights.norm == "target" else variation / len(drawn)
            )
        return parts

    def features(self, x: Tensor, names: list[str]) -> dict[str, Tensor]:
        """The outputs of layers, PIXELS among them."""
        layers = [name for name in names if name != PIXELS]
        return (self.network.features(x, layers) if layers else {}) | {PIXELS: x}

    def content(self, found: dict[str, Tensor], wanted: dict[str, Tensor]) -> Tensor:
        """The mean over layers and pictures."""
        layers = self.weights.content_layers
        norm = self.weights.norm
        total = added([content_loss(found[name], wanted[name], norm) for name in layers])
        if self.weights.norm == "paper":  # a sum, over the batch as well
            total = total / len(found[layers[0]])
        return total / len(layers)

    def style(self, found: dict[str, Tensor]) -> Tensor:
        """The sum over layers of the mean over pictures."""
        return added([
            style_loss(own, target, self.weights.norm) / len(found[name])
            for name, target in self.targets.items()
            for own in grams(found[name]).unbind(0)
        ])  # fmt: skip
