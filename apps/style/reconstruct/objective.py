"""The loss of a reconstruction: the content of one layer, or the style of several."""

from __future__ import annotations

import minidl
from apps.style.loss_network import LossNetwork
from apps.style.losses import added, content_loss, gram, style_loss
from apps.style.optimize.objective import Objective, Shift, shifted
from minidl.tensor import Tensor


class ContentObjective(Objective):
    """A picture with the features that another one has in a layer.

    Args:
        net: the loss network.
        layer: its name.
        target: the other picture, (1, 3, H, W).
    """

    def __init__(self, net: LossNetwork, layer: str, target: Tensor):
        self.net, self.layer, self.target = net, layer, target

    def losses(self, x: Tensor, shift: Shift) -> dict[str, Tensor]:
        wanted = self.kept.at(shift, lambda: self.of(shifted(self.target, shift)))[self.layer]
        return {"content": content_loss(self.of(x)[self.layer], wanted)}

    def of(self, x: Tensor) -> dict[str, Tensor]:
        return self.net.features(x, [self.layer])


class StyleObjective(Objective):
    """A picture with the Gram matrices that another one has in some layers.

    Args:
        net: the loss network.
        layers: their names.
        target: the other picture.
    """

    def __init__(self, net: LossNetwork, layers: list[str], target: Tensor):
        self.net, self.layers = net, layers
        with minidl.no_grad():
            self.targets = self.of(target)

    def losses(self, x: Tensor, shift: Shift) -> dict[str, Tensor]:
        parts = [style_loss(G, self.targets[name]) for name, G in self.of(x).items()]
        return {"style": added(parts)}

    def of(self, x: Tensor) -> dict[str, Tensor]:
        return {name: gram(y) for name, y in self.net.features(x, self.layers).items()}
