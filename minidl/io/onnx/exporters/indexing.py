"""Indexing, and tables whose rows are looked up."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from minidl.io.onnx.writer import Writer
from minidl.ops.embedding import Embedding
from minidl.ops.indexing import GetItem, Take


def embedding(g: Writer, f: Any, index: str, weight: str) -> str:
    return g.add("Gather", weight, index, axis=0)


def get_item(g: Writer, f: Any, x: str) -> str:
    """Ints, slices, None and ...: a Slice, then Squeeze for ints and Unsqueeze for None."""
    slices, dropped, added = parts_of(f.index, f.inputs[0].shape)
    if slices:
        starts, ends, steps = zip(*slices.values())
        x = g.add("Slice", x, g.ints(*starts), g.ints(*ends), g.ints(*slices), g.ints(*steps))
    if dropped:
        x = g.add("Squeeze", x, g.ints(*dropped))
    if added:
        x = g.add("Unsqueeze", x, g.ints(*added))
    return x if slices or dropped or added else g.add("Identity", x)


def parts_of(index: tuple, shape: tuple) -> tuple[dict, list[int], list[int]]:
    """Axis -> (start, end, step) of what is cut; axes that ints drop; axes that None adds."""
    given = sum(part is not None and part is not Ellipsis for part in index)
    slices, dropped, added, axis, result = {}, [], [], 0, 0
    for part in index:
        if part is Ellipsis:
            more = len(shape) - given
            axis, result = axis + more, result + more
        elif part is None:
            added.append(result)
            result += 1
        elif isinstance(part, slice):
            bounds = cut_of(part, shape[axis])
            if bounds is not None:
                slices[axis] = bounds
            axis, result = axis + 1, result + 1
        else:
            at = int(part)  # a negative one stays so: the last of a batch of any size
            slices[axis] = (at, np.iinfo(np.int64).max if at == -1 else at + 1, 1)
            dropped.append(axis)
            axis += 1
    return slices, dropped, added


def cut_of(part: slice, size: int) -> tuple[int, int, int] | None:
    """(start, end, step) as ONNX counts; None for everything.

    A bound that the index leaves open stays open (0, or the largest number), so that it fits a
    batch of any size; so does a negative one, which counts from the end.
    """
    step = 1 if part.step is None else int(part.step)
    if part.start is None and part.stop is None and step == 1:
        return None
    far = np.iinfo(np.int64)
    start, stop, _ = part.indices(size)
    if step < 0:
        start = -1 if part.start is None else start
        return start, far.min if stop < 0 else stop, step
    start = int(part.start) if part.start is not None and part.start < 0 else start
    if part.stop is None:
        return start, far.max, step
    return start, int(part.stop) if part.stop < 0 else stop, step


def take(g: Writer, f: Any, x: str) -> str:
    """Arrays of indices. One along one axis is a Gather; else the elements by their flat places.

    If the index leaves the first axis as it is, that stays out of the flat places, so that a batch
    may have any size.
    """
    index, shape = f.index, f.inputs[0].shape
    axis = only_array(index)
    if axis is not None:
        return g.add("Gather", x, g.constant(index[axis]), axis=axis)
    places = sample_places(index, shape)
    if places is not None:
        flat = g.add("Reshape", x, g.ints(shape[0], math.prod(shape[1:])))
        y = g.add("Gather", flat, g.constant(places.reshape(-1)), axis=1)
        return g.add("Reshape", y, g.ints(shape[0], *places.shape))
    places = np.arange(math.prod(shape)).reshape(shape)[index]
    return g.add("Gather", g.add("Reshape", x, g.ints(math.prod(shape))), g.constant(places))


def only_array(index: tuple) -> int | None:
    """The axis of an array of ints beside which the index has only whole axes; else None."""
    others = [i for i, part in enumerate(index) if not is_whole(part)]
    if len(others) != 1 or getattr(index[others[0]], "ndim", 0) == 0:
        return None
    return others[0] if index[others[0]].dtype.kind in "iu" else None


def sample_places(index: tuple, shape: tuple) -> np.ndarray | None:
    """The flat places within each sample, if the index does the same to all of the first axis."""
    if len(shape) < 2 or not (is_whole(index[0]) or index[0] is Ellipsis):
        return None
    size = math.prod(shape[1:])
    two = np.arange(2 * size).reshape(2, *shape[1:])[index]
    stays = two.ndim > 0 and len(two) == 2 and np.array_equal(two[1], two[0] + size)
    return two[0] if stays else None


def is_whole(part: Any) -> bool:
    return isinstance(part, slice) and part == slice(None)


EXPORTERS = {Embedding: embedding, GetItem: get_item, Take: take}
