"""MATLAB's level 5 MAT-files ("MAT-File Format", The MathWorks): arrays, text, cells, structs.

A file is a header of 128 bytes and elements; an element is a tag (type, number of bytes) and that
many bytes, padded to 8. A matrix is an element made of elements: flags, dimensions, name, and the
content. Compressed elements are zlib streams of one element.

scipy.io.loadmat reads them, too, but believes the dimensions: a file of 184 bytes makes it take
1.6 gigabytes. Here every size is compared with the bytes that are left.
"""

from __future__ import annotations

import math
import struct
import zlib
from typing import Any

import numpy as np

from minidl.io.weights.file import Budget, Refused, count, short

HEADER = 128
MAX_DEPTH = 64
MAX_INTEGERS = 64
ELEMENT_BYTES = 400  # what an empty element of a cell or struct array takes here; 8 in the file
TEXT_BYTES = 80  # and what a row of text takes, or a field's name
COMPRESSED, MATRIX = 15, 14
NUMBERS = {
    1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8",
}  # fmt: skip
TEXTS = {1: "latin-1", 2: "latin-1", 4: "utf-16", 16: "utf-8", 17: "utf-16", 18: "utf-32"}
CELL, STRUCT, OBJECT, CHAR = 1, 2, 3, 4
CLASSES = {
    6: "f8", 7: "f4", 8: "i1", 9: "u1", 10: "i2", 11: "u2", 12: "i4", 13: "u4", 14: "i8", 15: "u8",
}  # fmt: skip
COMPLEX = 0x0800


class Cell(list):
    """A cell array: its elements, column by column."""


class Struct(list):
    """A struct array: one dict per element, column by column."""


def read_mat(data: bytes) -> dict[str, Any]:
    """The variables of a MAT-file: arrays, texts, Cells and Structs.

    Raises:
        Refused: it is damaged.
    """
    order = "<" if data[126:128] == b"IM" else ">"
    reader = Reader(order, Budget(len(data)))
    variables: dict[str, Any] = {}
    block = Block(memoryview(data), HEADER, order)
    while block.left():
        kind, content = block.element()
        if kind == COMPRESSED:
            content = reader.inflate(content)
            kind, content = Block(content, 0, order).element()
        if kind != MATRIX:
            raise Refused("damaged: an element is no matrix", {"type": kind})
        name, value = reader.matrix(content, 0)
        if name:
            variables[name] = value
    return variables


class Block:
    """Elements one after the other in a piece of memory."""

    def __init__(self, data: memoryview, place: int, order: str):
        self.data, self.place, self.order = data, place, order

    def left(self) -> int:
        return len(self.data) - self.place

    def element(self) -> tuple[int, memoryview]:
        """Type and content of the next element."""
        if self.left() < 8:
            raise Refused("cut short: an element is missing")
        kind, size = struct.unpack_from(self.order + "II", self.data, self.place)
        begin = self.place + 8
        if kind >> 16:  # the small form: 2 bytes size, 2 bytes type, up to 4 bytes content
            kind, size, begin = kind & 0xFFFF, kind >> 16, self.place + 4
            if size > 4:
                raise Refused("damaged: a small element of more than 4 bytes", {"bytes": size})
            self.place += 8
        else:
            if size > self.left() - 8:
                raise Refused("cut short: an element ends behind the end",
                              {"bytes": size, "left": self.left() - 8})  # fmt: skip
            padding = 0 if kind == COMPRESSED else -size % 8
            self.place = min(len(self.data), begin + size + padding)
        return kind, self.data[begin : begin + size]


class Reader:
    """Reads matrices.

    Args:
        order: "<" or ">", the file's byte order.
        budget: counts what is unpacked.
    """

    def __init__(self, order: str, budget: Budget):
        self.order, self.budget = order, budget

    def inflate(self, content: memoryview) -> memoryview:
        """A compressed element, unpacked up to what the budget leaves."""
        unpacker = zlib.decompressobj()
        try:
            data = unpacker.decompress(content, self.budget.left + 1)
        except zlib.error as error:
            raise Refused(f"damaged: {error}") from None
        self.budget.take(len(data), "a compressed variable")
        if not unpacker.eof:
            raise Refused("cut short: a compressed variable ends early")
        return memoryview(data)

    def matrix(self, content: memoryview, depth: int) -> tuple[str, Any]:
        """Name and value of a matrix element's content."""
        if depth > MAX_DEPTH:
            raise Refused(f"cells and structs are nested more than {MAX_DEPTH} deep")
        if not content:
            return "", np.zeros((0, 0))  # how an empty cell is kept
        block = Block(content, 0, self.order)
        flags = self.integers(block)
        if not flags:
            raise Refused("damaged: a matrix without flags")
        kind, is_complex = flags[0] & 0xFF, bool(flags[0] & COMPLEX)
        if kind > 15:  # functions and objects of classes have another form
            return "", None
        shape = self.integers(block)
        name = bytes(block.element()[1]).decode("latin-1")
        size = count(shape, name)
        if kind in (CELL, STRUCT, OBJECT):
            return name, self.container(kind, block, size, depth)
        if kind == CHAR:
            return name, self.text(block, shape)
        if kind not in CLASSES:
            return name, None  # sparse
        return name, self.array(block, shape, CLASSES[kind], is_complex, name)

    def container(self, kind: int, block: Block, size: int, depth: int) -> Any:
        """The elements of a cell or struct array."""
        if kind == CELL:
            fields = [""]
        else:
            fields = self.field_names(block, kind)
        if not fields:
            return Struct([{}])
        if size * len(fields) * 8 > block.left():  # each has at least a tag
            raise Refused("cut short: a cell or struct array has fewer elements than it says",
                          {"elements": short(size * len(fields)), "bytes left": block.left()},
                          )  # fmt: skip
        self.budget.take(size * len(fields) * ELEMENT_BYTES, "a cell or struct array")
        values = []
        for _ in range(size):
            entry = {}
            for field in fields:
                inner, content = block.element()
                if inner != MATRIX:
                    raise Refused("damaged: an element of a cell or struct is no matrix")
                entry[field] = self.matrix(content, depth + 1)[1]
            values.append(entry)
        return Cell(entry[""] for entry in values) if kind == CELL else Struct(values)

    def field_names(self, block: Block, kind: int) -> list[str]:
        """The names of a struct's fields: texts of equal length, filled up with zeros."""
        if kind == OBJECT:
            block.element()  # the name of the class
        length = sum(self.integers(block)[:1])
        content = bytes(block.element()[1])
        if length < 1 or len(content) % length:
            raise Refused("damaged: the field names of a struct")
        self.budget.take(len(content) // length * TEXT_BYTES, "the field names of a struct")
        names = [content[i : i + length] for i in range(0, len(content), length)]
        return [name.split(b"\0")[0].decode("latin-1") for name in names]

    def text(self, block: Block, shape: list[int]) -> str | list[str]:
        """A text; of a matrix of several rows, each row."""
        kind, content = block.element() if block.left() else (16, memoryview(b""))
        if kind not in TEXTS:
            raise Refused("damaged: a text of an unknown type", {"type": kind})
        coding = TEXTS[kind]
        if coding.startswith("utf-") and coding != "utf-8":
            coding += "-le" if self.order == "<" else "-be"
        text = bytes(content).decode(coding, "replace")
        rows = shape[0] if len(shape) == 2 else 1
        if rows <= 1 or not text or len(text) != math.prod(shape):
            return text
        self.budget.take(rows * TEXT_BYTES, "a text of several rows")
        return [text[row::rows].rstrip() for row in range(rows)]

    def array(
        self, block: Block, shape: list[int], dtype: str, is_complex: bool, name: str
    ) -> np.ndarray:
        """Numbers, column-major. They may be kept in a smaller type than they have."""
        self.budget.take(math.prod(shape) * np.dtype(dtype).itemsize * (1 + is_complex), name)
        parts = [self.numbers(block) for _ in range(1 + is_complex)]
        for part in parts:
            if len(part) != math.prod(shape):
                raise Refused(f"damaged: {len(part):,} numbers for a matrix of another size",
                              {short(name) or "matrix": short(str(shape))})  # fmt: skip
        with np.errstate(all="ignore"):  # numbers of a damaged file need not fit their type
            numbers = parts[0].astype(dtype)
            if is_complex:
                numbers = (numbers + 1j * parts[1]).astype("c16" if dtype == "f8" else "c8")
            return numbers.reshape(shape, order="F")

    def integers(self, block: Block) -> list[int]:
        """The next element, which is a short row of integers: dimensions, flags."""
        numbers = self.numbers(block)
        if numbers.dtype.kind not in "iu" or len(numbers) > MAX_INTEGERS:
            raise Refused("damaged: flags or dimensions that are no short row of integers")
        return numbers.tolist()

    def numbers(self, block: Block) -> np.ndarray:
        """The next element, which is a row of numbers."""
        kind, content = block.element()
        if kind not in NUMBERS:
            raise Refused("damaged: an element of an unknown type", {"type": kind})
        dtype = np.dtype(self.order + NUMBERS[kind])
        if len(content) % dtype.itemsize:
            raise Refused("damaged: an element ends inside of a number")
        return np.frombuffer(content, dtype)
