"""Small textures."""

import numpy as np

from apps.style.texture.material import stack


def grains(size=(24, 28), seed=0, levels=256):
    """(H, W, 3): noise that is alike over a few pixels."""
    random = np.random.default_rng(seed)
    noise = random.random((size[0] + 2, size[1] + 2, 3))
    smooth = sum(noise[i : i + size[0], j : j + size[1]] for i in range(3) for j in range(3)) / 9
    return (np.round(smooth * (levels - 1)) / (levels - 1)).astype(np.float32)


def repeated(period=(5, 6), size=(30, 30), seed=0):
    """(H, W, 3): one small picture over and over, no two pixels of it alike."""
    tile = np.random.default_rng(seed).random((*period, 3), np.float32)
    times = -(-size[0] // period[0]), -(-size[1] // period[1])
    return np.tile(tile, (*times, 1))[: size[0], : size[1]]


def material(*samples, **more):
    return stack(samples, **more)


def run(synthesis):
    """Until nothing is left to do; the picture."""
    while synthesis.step():
        pass
    return synthesis.canvas.image.copy()


def assert_copied(synthesis, samples):
    """Every pixel is that of the sample which its source names."""
    canvas = synthesis.canvas
    sample, y, x = canvas.material.sources(canvas.source)
    assert sample.min() >= 0
    for i, pixels in enumerate(samples):
        here = sample == i
        np.testing.assert_array_equal(canvas.image[here], pixels[y[here], x[here]])


def assert_repeats(image, tile, wraps=False):
    """The picture is the tile over and over, beginning anywhere; with wraps, across its border."""
    (h, w), (H, W) = tile.shape[:2], image.shape[:2]
    distance = np.abs(tile - image[0, 0]).sum(axis=2)
    y, x = np.unravel_index(distance.argmin(), distance.shape)
    rows, columns = (y + np.arange(H)) % h, (x + np.arange(W)) % w
    np.testing.assert_array_equal(image, tile[np.ix_(rows, columns)])
    if wraps:
        assert H % h == W % w == 0
