"""What pickle.dump writes of NumPy arrays in dicts and lists: {"conv1": [kernel, bias], ...}.

An array is a call of numpy's _reconstruct and BUILD with (version, shape, dtype, Fortran order,
bytes), since protocol 5 a call of _frombuffer; a dtype a call with its code, and BUILD with
its byte order. The machine of tensor_pickle.py reads them: nothing is imported, called or run.

Names are joined by dots (conv1.0, conv1.1). How kernels are laid out the biases tell, as in .npz.
"""

from __future__ import annotations

import io
from typing import Any

import numpy as np

from minidl.io.weights.file import DTYPES, Budget, Refused, WeightsFile, add, from_bytes, short
from minidl.io.weights.npz import in_our_layout
from minidl.io.weights.pickle_words import DICT_MAKERS, Global
from minidl.io.weights.pytorch import find_state, flatten
from minidl.io.weights.tensor_pickle import SAVE_STATE, Machine, all_ints

CORES = ("numpy.core", "numpy._core")  # the name before NumPy 2, and since
RECONSTRUCT = {Global(f"{core}.multiarray", "_reconstruct") for core in CORES}
FROM_BUFFER = {Global(f"{core}.numeric", "_frombuffer") for core in CORES}
ARRAY, DTYPE = Global("numpy", "ndarray"), Global("numpy", "dtype")
# How protocol 2 writes bytes, and no bytes.
ENCODE, BYTES = Global("_codecs", "encode"), Global("__builtin__", "bytes")
SAVE_ARRAYS = (
    "this is no file of arrays; save them with numpy.savez(path, **arrays), those of a PyTorch "
    "model with torch.save(model.state_dict(), path)"
)
CODES = {dtype.str[1:]: dtype for dtype in DTYPES}


class PickledArray:
    """An array that the pickle makes; its numbers come later, by BUILD."""

    array: np.ndarray | None = None


class PickledDtype:
    """A dtype that the pickle makes; its byte order comes later.

    Args:
        code: its kind and size, as in "f4".
    """

    def __init__(self, code: str):
        self.dtype = CODES[code]


class NumpyMachine(Machine):
    """Runs one pickle of arrays; see Machine.

    Args:
        data: the file.
    """

    words = {*RECONSTRUCT, *FROM_BUFFER, *DICT_MAKERS, ARRAY, DTYPE, ENCODE, BYTES}

    def __init__(self, data: bytes):
        super().__init__(io.BytesIO(data))
        self.max_bytes, self.budget = len(data), Budget(len(data))

    def make(self, word: Any, arguments: Any) -> Any:
        """What REDUCE gives for a word of the list."""
        if type(word) is not Global or type(arguments) is not tuple:
            raise Refused("the pickle calls what is no name", hint=SAVE_STATE)
        if word in DICT_MAKERS:
            return self.make_dict(arguments)
        if word in RECONSTRUCT and arguments[:1] == (ARRAY,):
            return PickledArray()
        if word in FROM_BUFFER and len(arguments) in (4, 5):
            made = PickledArray()
            content, dtype, shape, order, *axes = arguments
            made.array = self.array_of(shape, dtype, order == "F", content)
            if axes:  # order "K": of the axes in memory, those of the array
                made.array = turned(made.array, axes[0])
            return made
        if word == DTYPE and arguments:
            return dtype_of(arguments[0])
        if word == ENCODE and len(arguments) == 2 and type(arguments[0]) is str:
            self.budget.take(len(arguments[0]), "bytes")  # else one text could be many
            return arguments[0].encode("latin-1")  # a UnicodeEncodeError is a ValueError
        if word == BYTES and not arguments:
            return b""
        raise Refused(f"the pickle calls {word.module}.{word.name} in a way that makes no array")

    def build(self) -> None:
        """BUILD gives an array its numbers, or a dtype its byte order."""
        state, target = self.stack.pop(), self.stack[-1]
        if type(target) is PickledArray and type(state) is tuple and len(state) == 5:
            _, shape, dtype, is_fortran, content = state
            target.array = self.array_of(shape, dtype, is_fortran is True, content)
        elif type(target) is PickledDtype and type(state) is tuple and len(state) >= 5:
            order, fields = state[1], state[2:5]
            if order not in ("<", ">", "|") or fields != (None, None, None):
                raise Refused("an array has a type that is no number", hint=SAVE_STATE)
            target.dtype = target.dtype.newbyteorder(order)
        else:
            raise Refused("the pickle sets the attributes of an object", hint=SAVE_STATE)

    def array_of(self, shape: Any, dtype: Any, is_fortran: bool, content: Any) -> np.ndarray:
        """The array of a shape that bytes of the pickle hold; a view of them."""
        if isinstance(content, str):  # of Python 2
            content = content.encode("latin-1")
        if type(dtype) is not PickledDtype or not isinstance(content, bytes | bytearray):
            raise Refused("the pickle has an array without type or bytes", hint=SAVE_STATE)
        if type(shape) is not tuple or not all_ints(shape):
            raise Refused("the pickle has an array whose shape is no numbers")
        self.budget.take(len(content), "an array")
        return from_bytes(content, dtype.dtype, shape, "array", "F" if is_fortran else "C")


def dtype_of(code: Any) -> PickledDtype:
    """The dtype of a code such as "f4".

    Raises:
        Refused: it is none of a number.
    """
    if type(code) is not str or code not in CODES:
        received = short(code) if type(code) is str else type(code).__name__
        raise Refused("an array has a type that is no number", {"type": received}, SAVE_STATE)
    return PickledDtype(code)


def turned(array: np.ndarray, axes: Any) -> np.ndarray:
    """The array with its axes in another order."""
    if not isinstance(axes, tuple | list) or not all_ints(axes):
        raise Refused("the pickle has an array whose axes are no numbers")
    if sorted(axes) != list(range(array.ndim)):
        raise Refused("the pickle has an array with other axes than dimensions")
    return array.transpose(axes)


def read_pickle(data: bytes) -> WeightsFile:
    """The arrays of a pickle of dicts, lists and arrays."""
    machine = NumpyMachine(data)
    pickled: dict[str, PickledArray] = {}
    try:
        state, meta = find_state(machine.run())
        flatten(state, "", pickled, set(), 0, PickledArray)
    except Refused as error:
        error.hint = SAVE_ARRAYS if error.hint == SAVE_STATE else error.hint
        raise
    place = machine.stream.tell()
    if place != len(data):
        raise Refused("the file goes on behind the pickle", {"bytes": len(data) - place})
    if not pickled:
        raise Refused("this is a pickle, but not one of torch.save or of NumPy arrays")
    tensors: dict[str, np.ndarray] = {}
    for name, made in pickled.items():
        if made.array is None:
            raise Refused("an array has no numbers", {"name": short(name)})
        machine.budget.take(made.array.nbytes, name)  # of what has many names, a copy for each
        add(tensors, name, made.array)
    return in_our_layout(WeightsFile("pickle", tensors, meta=meta))
