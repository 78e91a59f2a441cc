"""How much memory a synthesis takes, and whether there is that much."""

from __future__ import annotations

from collections.abc import Sequence

from apps.shared.photo import size_text
from apps.style import needs
from apps.style.texture.efros_leung import GROUP


def needed_megabytes(size: tuple[int, int], material: int, planes: int, window: int) -> float:
    """The memory of a synthesis: what is kept, what a search takes, and what is written.

    Args:
        size: (H, W) of the picture.
        material: pixels of the rectangle that holds the samples.
        planes: colours and guides; as many again as there are colours for passes of quilting.
        window: pixels of its side.
    """
    around = (size[0] + 2 * window) * (size[1] + 2 * window)
    picture = around * planes * 5  # float32 and bool
    picture += size[0] * size[1] * (8 + 60)  # sources; report and file
    samples = material * (planes * 12 + 20)  # read, planes, prepared; masks and their sums
    return (picture + samples + material * GROUP * 2 * 4) / 1e6


def check_size(
    size: tuple[int, int], sizes: Sequence[tuple[int, int]], planes: int, window: int
) -> float:
    """Whether a synthesis fits into memory; the megabytes that it takes.

    Args:
        sizes: (H, W) of the samples.
        size, planes, window: as of needed_megabytes.

    Raises:
        OptionError: it does not; names the size that would.
    """
    material = sum(height + 1 for height, _ in sizes) * max(width for _, width in sizes)
    needed = needed_megabytes(size, material, planes, window)

    def hint(share: float) -> str:
        fits = max(size)
        while fits > 1 and needed_megabytes((fits, fits), material, planes, window) > (
            share * needed
        ):
            fits = fits * 9 // 10
        return f"--size {fits} fits" if fits > 1 else "smaller samples"

    needs.check_memory(
        needed, "the texture needs more memory than there is",
        {"--size": size_text(size), "samples": f"{material:,} pixels"}, hint,
    )  # fmt: skip
    return needed
