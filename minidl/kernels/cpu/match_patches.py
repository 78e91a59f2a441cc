"""Patch matching, tile by tile, with a ninth of the multiplications where the strides are 1.

A tile is some rows of patches of the input and some of the source. The dot products of all its
patches come from one matrix product, small enough for the cache, and a compiled loop keeps the best
of each input patch while the tiles of the source pass by. So the memory is bounded, however large
the pictures are.

With stride 1 a dot product of patches is a sum over R S pairs of pixels, and neighbouring pairs of
patches share them:

    <p_i, q_j> = sum over (r, s) of <x[i + (r, s)], y[j + (r, s)]>

So the matrix product has pixels for its rows and columns, C numbers long, not patches of R S C; the
loop adds up R S of its entries. With another stride few pairs of patches share a pair of pixels:
the patches of a tile are copied out, as pixels of R S C numbers, and count as patches of 1 x 1.

Worker threads (threads/workers.py) share the tiles of the input. Shapes as in the reference kernel;
inside, pictures are (N, H, W, C).
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.lib.stride_tricks import sliding_window_view

from minidl.kernels.cpu.threads.workers import share
from minidl.kernels.layout import channels_last

INPUT_PATCHES = 1100  # in a tile at most, unless a row of them is more
PARTS = 4  # tiles of the input at least, where there is more to do than
SMALL = 2**22  # multiply-adds: a second thread is not worth its start
TILE_NUMBERS = 2**21  # dot products in a tile: 8 MB


def forward(x, source, size, places, source_places):
    x, source = channels_last(x), channels_last(source)
    every = is_every_place(x, size, places) and is_every_place(source, size, source_places)
    patches = Patches(x, size, places, every)
    candidates = Patches(source, size, source_places, every)
    indices = np.zeros((len(x), *patches.shape), np.int64)
    correlations = np.zeros(indices.shape, x.dtype)
    tiles = [(n, rows) for n in range(len(x)) for rows in input_tiles(patches, candidates)]
    scales = candidates.inverse_lengths()
    share(match_tile, tiles, patches, candidates, scales, indices, correlations)
    with np.errstate(invalid="ignore"):  # infinity times 0
        correlations *= patches.inverse_lengths()
    return indices, correlations


class Patches:
    """The patches of some pictures, and the pixels whose dot products make theirs.

    Args:
        pictures: (N, H, W, C), contiguous.
        size: (R, S).
        places: first rows and first columns of the patches.
        every: these are all there are, as with stride 1.

    Attributes:
        shape: rows and columns of patches.
        window: of pixels, whose dot products are added up.
        width: pixels in a row.
    """

    def __init__(self, pictures, size, places, every):
        self.pictures, self.size, self.places, self.every = pictures, size, places, every
        self.shape = len(places[0]), len(places[1])
        self.window = size if every else (1, 1)
        self.width = pictures.shape[2] if every else self.shape[1]

    def pixels(self, n, first, end):
        """Those of rows first to end of the patches of picture n: (pixels, numbers)."""
        picture, (R, S) = self.pictures[n], self.size
        if self.every:
            return picture[first : end + R - 1].reshape(-1, picture.shape[2])
        rows, columns = self.places[0][first:end], self.places[1]
        copies = np.empty((end - first, len(columns), R, S, picture.shape[2]), picture.dtype)
        for r in range(R):
            for s in range(S):
                copies[:, :, r, s] = picture[np.ix_(rows + r, columns + s)]
        return copies.reshape(-1, R * S * picture.shape[2])

    def inverse_lengths(self):
        """1 / |p|, and 0 for a patch of zeros: (N, rows, columns)."""
        rows, columns = self.places
        result = np.zeros((len(self.pictures), *self.shape), self.pictures.dtype)
        for picture, inverse in zip(self.pictures, result):
            squares = np.square(picture, dtype=np.float64).sum(axis=-1)
            seen = sliding_window_view(squares, self.size)[np.ix_(rows, columns)]
            lengths = np.sqrt(seen.sum(axis=(2, 3)))
            inverse[lengths > 0] = 1 / lengths[lengths > 0]
        return result


def is_every_place(pictures, size, places):
    return all(len(at) == n - k + 1 for at, n, k in zip(places, pictures.shape[1:3], size))


def input_tiles(patches, candidates):
    """Rows of patches: (first, end). The number of threads has no say, so it changes no bits."""
    rows, columns = patches.shape
    n_tiles = -(-rows // max(1, INPUT_PATCHES // columns))
    numbers = patches.pictures.shape[3] * patches.size[0] * patches.size[1]
    if rows * columns * candidates.shape[0] * candidates.shape[1] * numbers > SMALL:
        n_tiles = max(n_tiles, min(PARTS, rows))
    return [(rows * i // n_tiles, rows * (i + 1) // n_tiles) for i in range(n_tiles)]


def match_tile(tile, patches, candidates, scales, indices, correlations):
    """The matches of some rows of patches of one picture, among all candidates."""
    n, (first, end) = tile
    left = patches.pixels(n, first, end)
    best = np.empty((end - first) * patches.width, left.dtype)
    best[:] = -np.inf
    index = np.zeros(best.size, np.int32)
    rows, columns = candidates.shape
    step = max(1, TILE_NUMBERS // (len(left) * candidates.width))
    products = np.empty((0, len(left)), left.dtype)
    for m in range(len(candidates.pictures)):
        for row in range(0, rows, step):
            right = candidates.pixels(m, row, min(row + step, rows))
            if len(products) < len(right):  # the first tile is the largest
                products = np.empty((len(right), len(left)), left.dtype)
            dots = np.matmul(right, left.T, out=products[: len(right)])
            keep_best(
                dots, scales[m, row : row + step], (m * rows + row) * columns,
                candidates.width, patches.width, *patches.window, patches.shape[1], best, index,
            )  # fmt: skip
    for result, found in ((indices, index), (correlations, best)):
        result[n, first:end] = found.reshape(end - first, -1)[:, : patches.shape[1]]


@njit(nogil=True, cache=True)
def keep_best(products, scales, number, width, input_width, R, S, columns, best, index):
    """Compare the candidates of a tile, the first of which has this number, with the best so far.

    products[q, p] is the dot product of pixel q of the candidates and pixel p of the input. Patches
    of the input begin at each p; those in the last columns of a row are none, and come to nothing.
    """
    n = len(best) - (input_width - columns)  # up to the last patch
    scores = np.empty(n, products.dtype)
    for a in range(scales.shape[0]):
        for b in range(scales.shape[1]):
            scores[:] = 0
            for r in range(R):
                for s in range(S):
                    dots = products[(a + r) * width + b + s, r * input_width + s :]
                    for p in range(n):
                        scores[p] += dots[p]
            scale = scales[a, b]
            for p in range(n):
                score = scores[p] * scale
                wins = score > best[p]  # not NaN, and not one as good as the first
                best[p] = score if wins else best[p]
                index[p] = number if wins else index[p]
            number += 1
