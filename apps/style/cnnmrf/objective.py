"""The loss of Li and Wand 2016 (equation 1): patches of the style, the content, smoothness.

    L = a sum_l w_l E_l / Z_l  +  b sum_l w_l content_l  +  c TV

over layers l, with the weights a, b, c of patches, content and total variation. E_l is the energy
of patches and Z_l what it is for features of 0 (energy.py); the other two are those of Gatys' loss,
divided by the target's size (apps/style/losses.py).

The authors weigh sums instead: patches 1e-4, content 20, total variation 1e-3. A sum is its loss
here times what that was divided by, so a weight w of theirs is w Z here. Z is another number for
each picture, layer and size: no fixed weights are the same.
"""

from __future__ import annotations

import time

import minidl
from apps.shared.photo import Photo
from apps.style.cnnmrf.energy import StylePatches, patch_energy
from apps.style.cnnmrf.pictures import Pictures, Size
from apps.style.cnnmrf.settings import Settings
from apps.style.loss_network import LossNetwork
from apps.style.losses import added, content_loss, total_variation
from apps.style.optimize.objective import STAYS, Objective, Shift, shifted
from minidl.errors import ShapeError
from minidl.tensor import Tensor


class PatchObjective(Objective):
    """What a picture of one size is compared with.

    Args:
        net: the loss network.
        settings: layers, weights, patches.
        pictures: content and style.
        size: height and width of the picture.

    Attributes:
        correlation: layer -> mean correlation of the patches with their matches, as of the last
            evaluation.
        left_out: copies of the style that are smaller than a patch.

    Raises:
        ArgumentError: no such layer.
        ShapeError: a picture is too small for the layers and patches.
    """

    def __init__(self, net: LossNetwork, settings: Settings, pictures: Pictures, size: Size):
        self.net, self.settings, self.size = net, settings, size
        self.patch_layers, self.content_layers = settings.of_patches(), settings.of_content()
        self.layers = net.check_layers([*self.patch_layers, *self.content_layers])
        self.content = pictures.content_at(size).tensor() if self.content_layers else None
        self.correlation: dict[str, float] = {}
        self.matching = self.seconds = 0.0  # of the last evaluation
        self.patches: dict[str, StylePatches] = {}
        self.left_out = 0
        if self.patch_layers:
            self.look_at_style(pictures.styles_at(size))

    def look_at_style(self, copies: list[Photo]) -> None:
        """Compute the features whose patches are candidates.

        Args:
            copies: of the style; the first one has to have patches, others may be too small.
        """
        fitting = [copies[0], *(c for c in copies[1:] if self.has_patches(c.size))]
        self.left_out = len(copies) - len(fitting)
        with minidl.no_grad():
            found = [self.net.features(c.tensor(), self.patch_layers) for c in fitting]
        for name in self.patch_layers:
            features = [of_copy.pop(name) for of_copy in found]
            check_patch(self.net, name, self.settings.patch, features[0])
            self.patches[name] = StylePatches(features, self.settings.patch, self.settings.stride)

    def has_patches(self, size: Size) -> bool:
        """Whether each layer's features of a picture of some size have a patch."""
        least = self.net.smallest(self.patch_layers)
        return min(size) >= least and all(
            min(self.net.output_size(name, size)) >= self.settings.patch
            for name in self.patch_layers
        )

    def megabytes(self, size: Size) -> float:
        """What the features of the style and its copies take for a picture of another size."""
        ratio = size[0] * size[1] / (self.size[0] * self.size[1])
        return ratio * sum(patches.pixels.nbytes for patches in self.patches.values()) / 1e6

    def losses(self, x: Tensor, shift: Shift = STAYS) -> dict[str, Tensor]:
        found, settings = self.net.features(x, self.layers), self.settings
        parts = {}
        if self.patch_layers:
            energies = [w * self.energy(name, found[name]) for name, w in self.patch_layers.items()]
            parts["patches"] = settings.mrf_weight * added(energies)
        if self.content is not None:
            part = self.content_part(found, shifted(self.content, shift), shift)
            parts["content"] = settings.content_weight * part
        if settings.tv_weight:
            parts["tv"] = total_variation(x) * settings.tv_weight
        return parts

    def energy(self, name: str, features: Tensor) -> Tensor:
        """The energy of a layer's patches, matched anew."""
        check_patch(self.net, name, self.settings.patch, features)
        start, patches = time.perf_counter(), self.patches[name]
        target = patches.match(features.detach())
        self.correlation[name] = target.correlation
        self.matching += time.perf_counter() - start
        return patch_energy(features, patches, target, self.settings.gradient)

    def content_part(self, found: dict[str, Tensor], moved: Tensor, shift: Shift) -> Tensor:
        """How far features are from those of the content, which is shifted alike."""
        targets = self.kept.at(shift, lambda: self.net.features(moved, self.content_layers))
        return added([
            weight * content_loss(found[name], targets[name])
            for name, weight in self.content_layers.items()
        ])  # fmt: skip

    def evaluate(self, x: Tensor, shift: Shift = STAYS) -> dict[str, float]:
        start, self.matching = time.perf_counter(), 0.0
        losses = super().evaluate(x, shift)
        self.seconds = time.perf_counter() - start
        return losses

    def pixels_to_compute(self, size: Size) -> float:
        """How long an evaluation takes for a picture of another size, in pixels of this one.

        Every patch is matched with every other: the share of that in the last evaluation's time
        grows with the square of the pixels.
        """
        ratio = size[0] * size[1] / (self.size[0] * self.size[1])
        share = self.matching / self.seconds if self.seconds else 0.0
        return self.size[0] * self.size[1] * ((1 - share) * ratio + share * ratio**2)


def check_patch(net: LossNetwork, name: str, patch: int, features: Tensor) -> None:
    """The features have a patch.

    Raises:
        ShapeError: they are too small.
    """
    height, width = features.shape[2:]
    if min(height, width) < patch:
        raise ShapeError(
            net.name, f"patches of {patch}x{patch} do not fit into {name}, {height}x{width}",
            {"features": features}, "larger pictures, fewer --resolutions, or smaller patches",
        )  # fmt: skip
