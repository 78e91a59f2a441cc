"""The words that a pickle of tensors needs, and what they make.

torch.save refers to classes and functions of PyTorch by name. These are all that a state_dict with
an optimizer's state and a schedule takes; they are compared, never imported.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple


class Global(NamedTuple):
    """A word of the list: what a pickle wants to import."""

    module: str
    name: str


class Storage(NamedTuple):
    """A row of numbers that tensors view; its bytes are elsewhere in the file.

    A storage can be a part of another one (only in files of PyTorch before 0.4): from element
    `start` on.
    """

    key: str
    dtype: str
    size: int
    start: int = 0


@dataclass(frozen=True, eq=False)
class PickledTensor:
    """A view of a storage: offset and strides count elements, as PyTorch's.

    The numbers of x.conj() and of x.conj().imag are those of x in the storage; a bit of the tensor
    says that they mean the conjugate, or the negative.
    """

    storage: Storage
    dtype: str
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    is_conj: bool = False
    is_neg: bool = False


STORAGES = {
    "DoubleStorage": "float64", "FloatStorage": "float32", "HalfStorage": "float16",
    "BFloat16Storage": "bfloat16", "LongStorage": "int64", "IntStorage": "int32",
    "ShortStorage": "int16", "CharStorage": "int8", "ByteStorage": "uint8", "BoolStorage": "bool",
    "ComplexFloatStorage": "complex64", "ComplexDoubleStorage": "complex128",
    "UntypedStorage": "bytes",
}  # fmt: skip
DTYPES = {
    "float64": "float64", "double": "float64", "float32": "float32", "float": "float32",
    "float16": "float16", "half": "float16", "bfloat16": "bfloat16", "int64": "int64",
    "int32": "int32", "int16": "int16", "int8": "int8", "uint8": "uint8", "uint16": "uint16",
    "uint32": "uint32", "uint64": "uint64", "bool": "bool", "complex64": "complex64",
    "complex128": "complex128",
}  # fmt: skip

TENSOR_MAKERS = {
    Global("torch._utils", "_rebuild_tensor"),
    Global("torch._utils", "_rebuild_tensor_v2"),
    Global("torch._utils", "_rebuild_tensor_v3"),
}
PARAMETER_MAKERS = {
    Global("torch._utils", "_rebuild_parameter"),
    Global("torch._utils", "_rebuild_parameter_with_state"),
}
WITH_ATTRIBUTES = Global("torch._tensor", "_rebuild_from_type_v2")
DICT_MAKERS = {
    Global("collections", "OrderedDict"),
    Global("collections", "Counter"),  # of learning-rate schedules
}
WORDS = {
    *TENSOR_MAKERS, *PARAMETER_MAKERS, *DICT_MAKERS, WITH_ATTRIBUTES,
    *(Global("torch", name) for name in (*STORAGES, *DTYPES)),
    Global("torch.storage", "UntypedStorage"),
    Global("torch", "Size"), Global("torch", "device"), Global("torch", "Tensor"),
    Global("torch.nn.parameter", "Parameter"),
}  # fmt: skip
