"""Gatys' loss of pictures that are too large for memory: computed tile by tile, and the same.

A tile's features are computed from a crop that is larger than the tile by all that these features
see, and begins at a multiple of the network's strides. So they are exactly those that the whole
picture would have there, and their sums, Gram matrices and content loss, are exact, too:

    1. for each tile: features, without a gradient; the Gram matrices add up to G
    2. the style loss of G, and its gradient gG
    3. for each tile: features again, and backward through <gG, Gram of the tile> + its content

The gradients of the tiles' crops overlap, and add up to that of the picture. What is in memory at
once are the features of one crop. There is no seam to be hidden by moving the grid of tiles about:
a pixel beside the border of a tile has the gradient that it has without tiles, up to rounding.

Forward, a third of an evaluation, is computed twice, and a third time to the content's layers for
the content's own features, which are not kept. So the loss network runs up to 1 2/3 times as long,
and over the crops' margins: 26 % more pixels with tiles of 512 pixels and SqueezeNet to fire5.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import minidl
from apps.style.gatys.objective import GatysObjective, MaskAt
from apps.style.gatys.pictures import Pictures, Size
from apps.style.gatys.settings import Settings
from apps.style.loss_network import LossNetwork
from apps.style.losses import added, grad_of, gram, squares, total_variation
from apps.style.optimize.objective import STAYS, Shift, shifted
from minidl.tensor import Tensor


@dataclass
class Tile:
    """A tile and the crop that its features need, as rows and columns of the picture.

    Args:
        inside: (first, end) of its rows and of its columns.
        crop: the same of the crop.
    """

    inside: tuple[Size, Size]
    crop: tuple[Size, Size]

    def cut(self, x: Tensor) -> Tensor:
        """The crop of a picture (1, 3, H, W), a view of it."""
        (top, bottom), (left, right) = self.crop
        return x[:, :, top:bottom, left:right]

    def own(self, stride: int) -> tuple[slice, ...]:
        """The index of the tile's own features among those of the crop."""
        parts = [slice(None), slice(None)]
        for (first, end), (start, stop) in zip(self.inside, self.crop):
            last = None if end == stop else (end - start) // stride
            parts.append(slice((first - start) // stride, last))
        return tuple(parts)

    def place(self, stride: int, size: Size) -> tuple[slice, ...]:
        """The index of the tile's own features, so many, among those of the whole picture."""
        starts = [first // stride for first, _ in self.inside]
        return tuple(slice(start, start + n) for start, n in zip(starts, size))


class TiledGatysObjective(GatysObjective):
    """GatysObjective in bounded memory; the top of this file says how."""

    def __init__(self, net: LossNetwork, settings: Settings, pictures: Pictures, size: Size):
        assert settings.tile is not None
        self.tile = settings.tile
        super().__init__(net, settings, pictures, size)

    def tiles(self, size: Size, layers: Iterable[str]) -> Iterator[Tile]:
        """The tiles of a picture, row by row; they begin at multiples of all strides."""
        jump, (before, behind) = self.net.stride(layers), margins(self.net, layers)
        step = max(self.tile // jump, 1) * jump
        least = max(jump, self.net.smallest(layers))  # a thinner last tile joins the one before
        axes = []
        for n in size:
            starts = [a for a in range(0, n, step) if a == 0 or n - a >= least]
            inside = list(zip(starts, [*starts[1:], n]))
            axes.append([(i, (max(i[0] - before, 0), min(i[1] + behind, n))) for i in inside])
        for rows, crop_rows in axes[0]:
            for columns, crop_columns in axes[1]:
                yield Tile((rows, columns), (crop_rows, crop_columns))

    def own_features(self, tile: Tile, crop: Tensor, layers: Iterable[str]) -> dict[str, Tensor]:
        """The features of a tile, computed from its crop."""
        found = self.net.features(crop, layers)
        return {name: x[tile.own(self.net.stride([name]))] for name, x in found.items()}

    def content_sizes(self) -> dict[str, tuple[float, int]]:
        found = dict.fromkeys(self.content_layers, (0.0, 0))
        for tile in self.tiles(self.content.shape[2:], found):
            for name, x in self.own_features(tile, tile.cut(self.content), found).items():
                squared, count = found[name]
                found[name] = squared + float(squares(x.data)), count + x.data.size
        return found

    def grams_of(self, x: Tensor, mask_at: MaskAt) -> dict[str, Tensor]:
        size: Size = x.shape[2:]
        sums: dict[str, Tensor] = {}
        with minidl.no_grad():
            for tile in self.tiles(size, self.style_layers):
                found = self.own_features(tile, tile.cut(x), self.style_layers)
                for name, y in found.items():
                    part = self.part_of_gram(name, y, tile, mask_at, size)
                    sums[name] = part if name not in sums else sums[name] + part
        return sums

    def part_of_gram(self, name: str, y: Tensor, tile: Tile, mask_at: MaskAt, size: Size) -> Tensor:
        """What a tile adds to the Gram matrix of a picture of `size`: its own one, by its share of
        the positions, or of the mask."""
        whole = self.net.output_size(name, size)
        mask = mask_at(whole)
        if mask is None:
            return gram(y) * (math.prod(y.shape[2:]) / math.prod(whole))
        own = mask[tile.place(self.net.stride([name]), y.shape[2:])]
        return gram(y, own) * float(own.sum() / mask.sum())

    # --- the losses -----------------------------------------------------------------------------

    def evaluate(self, x: Tensor, shift: Shift = STAYS) -> dict[str, float]:
        moved, content = shifted(x.detach(), shift), shifted(self.content, shift)
        masks = self.masks_at(shift)
        slopes, losses = self.style_slopes(moved, masks) if self.style_weight else ([], {})
        gradient = minidl.zeros_like(moved)
        if self.content_weight or slopes:
            contents = 0.0
            for tile in self.tiles(moved.shape[2:], self.layers):
                contents += self.add_tile(tile, moved, content, list(zip(masks, slopes)), gradient)
            losses = ({"content": contents} if self.content_weight else {}) | losses
        if self.tv_weight:
            moved.requires_grad_()
            variation = total_variation(moved, self.norm) * self.tv_weight
            variation.backward()
            gradient.data[...] += grad_of(moved).data
            losses["tv"] = float(variation)
        x.grad = unshifted(gradient, x, shift)
        self.keep_outside(x)
        return losses

    def style_slopes(
        self, x: Tensor, masks: list[MaskAt]
    ) -> tuple[list[dict[str, Tensor]], dict[str, float]]:
        """The gradient of the style loss with respect to the Gram matrices of each mask, and the
        loss itself."""
        grams = [self.grams_of(x, mask_at) for mask_at in masks]
        for G in grams:
            for matrix in G.values():
                matrix.requires_grad_()
        loss = self.style_part(grams)
        loss.backward()
        slopes = [{name: grad_of(matrix) for name, matrix in G.items()} for G in grams]
        return slopes, {"style": float(loss)}

    def add_tile(
        self,
        tile: Tile,
        x: Tensor,
        content: Tensor,
        slopes: Iterable[tuple[MaskAt, dict[str, Tensor]]],
        gradient: Tensor,
    ) -> float:
        """Add what a tile's losses give to the gradient; returns its content loss."""
        crop = tile.cut(x).detach().requires_grad_()
        found, parts, content_part = self.own_features(tile, crop, self.layers), [], 0.0
        for mask_at, slope in slopes:
            for name, matrix in slope.items():
                own = self.part_of_gram(name, found[name], tile, mask_at, x.shape[2:])
                parts.append((own * matrix).sum())
        if self.content_weight:
            with minidl.no_grad():
                targets = self.own_features(tile, tile.cut(content), self.content_layers)
            parts.append(self.content_part(found, targets))
            content_part = float(parts[-1])
        added(parts).backward()
        tile.cut(gradient).data[...] += grad_of(crop).data
        return content_part


def unshifted(gradient: Tensor, x: Tensor, shift: Shift) -> Tensor:
    """The gradient of a picture, from that of the shifted one."""
    leaf = x.detach().requires_grad_()
    moved = shifted(leaf, shift)
    if moved is leaf:
        return gradient
    moved.backward(gradient)
    return grad_of(leaf)


def margins(net: LossNetwork, layers: Iterable[str]) -> tuple[int, int]:
    """How many pixels beyond a tile its features see: before it, a multiple of all strides, and
    behind it."""
    before, jump = 0, 1
    for window in net.windows(layers):
        before += window.padding * jump
        jump *= window.stride
    return -(-before // jump) * jump, net.receptive_field(layers) - before


def pixels_of_tiles(net: LossNetwork, settings: Settings, size: Size) -> tuple[int, float]:
    """How many pixels' features are in memory at once, and how many an evaluation computes, counted
    as forward and backward once."""
    whole = size[0] * size[1]
    if settings.tile is None or settings.tile >= max(size):
        return whole, whole
    side = settings.tile + sum(margins(net, settings.layers()))
    passes = 4 + (settings.weights_of_losses()[0] > 0)  # of 3 that an evaluation without tiles has
    computed = passes / 3 * whole * (side / settings.tile) ** 2
    return min(size[0], side) * min(size[1], side), computed


def make_objective(
    net: LossNetwork, settings: Settings, pictures: Pictures, size: Size
) -> GatysObjective:
    """The objective for a size; computed in tiles where the settings say so."""
    tiled = settings.tile is not None and settings.tile < max(size)
    return (TiledGatysObjective if tiled else GatysObjective)(net, settings, pictures, size)
