"""How different pictures are from each other.

The root mean square of the distances of all pairs, in pixels from 0 to 255 per value. Of one
caption, divided by that of real pictures of one caption, it says whether the noise matters as much
as it should; of different captions, whether the pictures differ as much as real ones. Real
pictures of one caption are those of one class. Where no class has several that differ, nobody knows
how different they would be, and all real pictures take their place.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from apps.shared.rows import Rows

ENOUGH = 1000  # pictures for the spread of all


@dataclass(frozen=True)
class RealSpread:
    """How different real pictures are: the units of diversity.

    Args:
        same: those of one class, the mean over classes; None where no class has two that differ.
        across: all of them.
    """

    same: float | None
    across: float

    @property
    def of_one_caption(self) -> float:
        """What pictures of one caption are compared with."""
        return self.across if self.same is None else self.same


def spread(pictures: np.ndarray) -> float:
    """The root mean square distance of pairs of pictures, per value.

    With mean m of the pictures, the mean of |a - b|^2 over pairs is 2 n / (n - 1) times that of
    |a - m|^2 over pictures, so no pair is looked at.

    Args:
        pictures: (n, ...), n >= 2, as numbers of any kind.
    """
    flat = pictures.reshape(len(pictures), -1).astype(np.float64)
    n = len(flat)
    return float(np.sqrt(2 * n / (n - 1) * ((flat - flat.mean(0)) ** 2).mean()))


def mean_spread(groups: list[np.ndarray]) -> float:
    """The mean over groups of pictures, each of at least two."""
    return float(np.mean([spread(group) for group in groups]))


def spread_within_classes(pictures: np.ndarray, members: Rows) -> float | None:
    """That of real pictures of one class, the mean over classes.

    Args:
        pictures: (N, ...).
        members: of each class, numbers of its pictures.

    Returns:
        None where no class has two pictures that differ.
    """
    several = [members[c] for c in np.flatnonzero(members.sizes > 1)]
    return mean_spread([pictures[rows] for rows in several]) or None if several else None


def spread_of_all(pictures: np.ndarray) -> float:
    """That of any two of many pictures, of which some are looked at.

    Args:
        pictures: (N, ...), N >= 2.
    """
    return spread(pictures[:: -(-len(pictures) // ENOUGH)])
