"""MATLAB's level 7.3 MAT-files, which are HDF5 files.

Each group or data set has the attribute MATLAB_class. A cell array is a data set of references to
what is in the group #refs#; so is each field of a struct array of several elements. HDF5 has the
dimensions in C's order, so they are reversed; text is numbers of characters.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from minidl.io.weights.file import Budget, Refused
from minidl.io.weights.hdf5 import Hdf5
from minidl.io.weights.matlab import MAX_DEPTH, Cell, Struct

MAX_VALUES = 1_000_000


def read_mat73(file: Hdf5, budget: Budget) -> dict[str, Any]:
    """The variables, as matlab.read_mat gives them."""
    reader = Reader73(file, budget)
    top = [path for path in file.attributes if path and "/" not in path and path[0] != "#"]
    return {path: reader.value(path, 0) for path in top}


class Reader73:
    """Follows the references of a file.

    They can lead in circles, and many to one array: only so deep, so many, and so much.
    """

    def __init__(self, file: Hdf5, budget: Budget):
        self.file, self.budget = file, budget
        self.children: dict[str, list[str]] = {}
        self.count = 0
        for path in file.attributes:
            if path:
                self.children.setdefault(path.rpartition("/")[0], []).append(path)

    def value(self, path: str, depth: int) -> Any:
        """An array, text, Cell or Struct."""
        self.count += 1
        if depth > MAX_DEPTH or self.count > MAX_VALUES:
            raise Refused("damaged: references that lead in circles, or too many")
        attributes = self.file.attributes.get(path, {})
        kind = attributes.get("MATLAB_class")
        if path in self.file.references:
            return Cell(self.targets(path, depth))
        if path not in self.file.arrays:
            return Struct(self.struct(path, depth))
        array = self.file.arrays[path]
        self.budget.take(array.nbytes, path)
        if attributes.get("MATLAB_empty"):  # then the numbers are the dimensions
            return Cell() if kind == "cell" else np.zeros((0, 0))
        if kind == "char":
            codes = array.T.ravel(order="F")
            codes = codes[(codes >= 1) & (codes < 0xD800)].astype("<u2")
            return codes.tobytes().decode("utf-16-le")
        return array.T

    def targets(self, path: str, depth: int) -> list[Any]:
        """What a data set of references points to, column by column of MATLAB's array."""
        return [self.value(target, depth + 1) for target in self.file.references[path][1]]

    def struct(self, path: str, depth: int) -> list[dict[str, Any]]:
        """A struct: one dict; of a struct array, whose fields are references, one per element."""
        fields = {child.rpartition("/")[2]: child for child in self.children.get(path, [])}
        columns = {name: child for name, child in fields.items()
                   if child in self.file.references and not self.is_cell(child)}  # fmt: skip
        if not columns:
            return [{name: self.value(child, depth + 1) for name, child in fields.items()}]
        sizes = {math.prod(self.file.references[child][0]) for child in columns.values()}
        if len(sizes) != 1:
            raise Refused("damaged: the fields of a struct array are of different length")
        values = {name: self.targets(child, depth) for name, child in columns.items()}
        return [{name: column[i] for name, column in values.items()} for i in range(sizes.pop())]

    def is_cell(self, path: str) -> bool:
        """Whether references are the elements of a cell, not the column of a struct array."""
        return self.file.attributes.get(path, {}).get("MATLAB_class") == "cell"
