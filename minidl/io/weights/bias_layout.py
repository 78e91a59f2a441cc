"""What biases tell of a file that does not say how its kernels are laid out.

A bias beside a kernel of shape (3, 3, 64, 128) has 128 elements where the outputs are last, 3 where
they are first.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

Shapes = list[tuple[tuple[int, ...], set[int]]]  # of kernels; how long the vectors beside each are


def beside_vectors(
    arrays: Iterable[tuple[str, np.ndarray]], kernels: Iterable[tuple[str, np.ndarray]]
) -> Shapes:
    """The shape of each kernel, and how long the vectors of its layer are.

    Args:
        arrays: layer and array, of all there are.
        kernels: layer and array, of those that are asked about.
    """
    lengths: dict[str, set[int]] = {}
    for layer, array in arrays:
        if array.ndim == 1:
            lengths.setdefault(layer, set()).add(len(array))
    return [(array.shape, lengths.get(layer, set())) for layer, array in kernels]


def outputs_first(kernels: Shapes) -> set[bool]:
    """Of each kernel whose vectors tell: whether its outputs are its first axis, not its last."""
    return {s[0] in beside for s, beside in kernels if (s[0] in beside) != (s[-1] in beside)}
