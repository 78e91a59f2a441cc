"""Two ways to keep the content's colours (Gatys et al. 2016, "Preserving color in neural artistic
style transfer").

luma    The style is transferred to the light of the picture alone: content and style are grey, the
        style's light with the mean and deviation of the content's (section 3, "luminance-only
        transfer"). The result has the made picture's light and the content's colours: in Y'UV of
        ITU-R BT.601 its U and V are those of the content.
match   The style picture's colours get the mean and covariance of the content's, before all else
        (section 2, with the symmetric root of the covariance, "image analogies").

Transparent pixels count as little as they are seen: not at all where nothing is.
"""

from __future__ import annotations

import numpy as np

from apps.shared.photo import Photo

LUMA = np.array([0.299, 0.587, 0.114])  # of red, green and blue: ITU-R BT.601
TINY = 1e-5  # added to variances, for pictures of few colours


def luma(pixels: np.ndarray) -> np.ndarray:
    """The light Y of pixels (..., 3), as (...)."""
    return pixels @ LUMA.astype(pixels.dtype)


def luma_of(photo: Photo) -> Photo:
    """The picture in grey."""
    return Photo(np.repeat(luma(photo.pixels)[..., None], 3, axis=2), photo.alpha)


def grey_like(style: Photo, content: Photo) -> Photo:
    """The style in grey, with the mean and deviation of the content's light."""
    light, share = luma(style.pixels), visible(content)
    target = luma(content.pixels)
    mean = np.average(target, weights=share)
    deviation = np.sqrt(np.average((target - mean) ** 2, weights=share))
    scale = deviation / max(float(light.std()), TINY)
    grey = np.clip((light - light.mean()) * scale + mean, 0, 1)
    return Photo(np.repeat(grey[..., None], 3, axis=2).astype(np.float32))


def with_luma_of(content: Photo, made: Photo) -> Photo:
    """The content's colours in the light of another picture of the same size.

    U and V are B - Y and R - Y up to a factor, so they stay if all three colours change by as much
    as Y does. Y changes only as far as red, green and blue stay within 0..1.
    """
    own = luma(content.pixels)
    highest = 1 - content.pixels.max(axis=2)
    lowest = -content.pixels.min(axis=2)
    change = np.clip(luma(made.pixels) - own, lowest, highest)
    return Photo(np.clip(content.pixels + change[..., None], 0, 1).astype(np.float32))


def matched(style: Photo, content: Photo) -> Photo:
    """The style with the mean and covariance of the content's colours."""
    mean, covariance = moments(style)
    target_mean, target_covariance = moments(content)
    turn = power(target_covariance, 0.5) @ power(covariance, -0.5)
    pixels = (style.pixels - mean) @ turn.T + target_mean
    return Photo(np.clip(pixels, 0, 1).astype(np.float32))


def moments(photo: Photo) -> tuple[np.ndarray, np.ndarray]:
    """Mean (3,) and covariance (3, 3) of the colours that are seen."""
    rows, share = photo.pixels.reshape(-1, 3).astype(np.float64), visible(photo).ravel()
    mean = np.average(rows, axis=0, weights=share)
    covariance = (rows - mean).T @ ((rows - mean) * share[:, None]) / share.sum()
    return mean, covariance + TINY * np.eye(3)


def visible(photo: Photo) -> np.ndarray:
    """How much each pixel is seen, float64 (H, W); all alike in a picture of which none is."""
    if photo.alpha is None or not photo.alpha.any():
        return np.ones(photo.size)
    return photo.alpha.astype(np.float64)


def filled(photo: Photo) -> Photo:
    """The picture with the mean of what is seen wherever nothing is: there a file holds any colour,
    often black, and a network would see its edge."""
    if photo.alpha is None:
        return photo
    mean, _ = moments(photo)
    pixels = np.where(photo.alpha[..., None] > 0, photo.pixels, mean.astype(np.float32))
    return Photo(pixels, photo.alpha)


def power(matrix: np.ndarray, exponent: float) -> np.ndarray:
    """A power of a symmetric matrix with positive eigenvalues."""
    values, vectors = np.linalg.eigh(matrix)
    return (vectors * values**exponent) @ vectors.T
