"""Which code does the loops of an operation.

Each operation that needs a loop has a file of the same name, with functions of the same names and
arguments, in each of

    reference/   NumPy, written to be read: the specification and the oracle
    cpu/         Numba, compiled and parallel
    cuda/        Numba-CUDA on CuPy arrays

`pick("conv2d", x)` returns the module for the array x. A set that lacks the operation is an
error that names the file to write; there is no silent fallback. Each set says in its __init__.py
which dtypes it knows: set_for(op, dtype) names the folder that serves one, or raises a DtypeError.
"""

from __future__ import annotations

import os
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import Any

import numpy as np

from minidl.errors import ArgumentError, KernelError, nearest
from minidl.kernels.memory import keep_freed_memory

CPU_SETS = {"reference": "reference", "numba": "cpu"}  # public name -> folder

cpu_folder = "cpu"  # of the set in use; see use_cpu_kernels
modules: dict[tuple, ModuleType] = {}  # (folder, operation, element type) -> loaded module


def pick(op: str, x: Any) -> ModuleType:
    """The kernel module of an operation for the array x: the array decides CPU or GPU."""
    folder = cpu_folder if isinstance(x, np.ndarray) else "cuda"
    return modules.get((folder, op, x.dtype)) or load(folder, op, x.dtype)


def load(folder: str, op: str, dtype: Any) -> ModuleType:
    """Import a kernel file the first time it is needed (Numba takes a while to import)."""
    missing = KernelError(
        op,
        f"has no kernel in the set {folder!r}",
        hint=f"it belongs in minidl/kernels/{folder}/{op}.py, beside the reference kernel"
        f" minidl/kernels/reference/{op}.py",
    )
    if find_spec(f"minidl.kernels.{folder}") is None:
        raise missing
    serving = import_module(f"minidl.kernels.{folder}").set_for(op, dtype)
    if find_spec(f"minidl.kernels.{serving}.{op}") is None:
        raise missing
    if not modules:
        keep_freed_memory()
    modules[folder, op, dtype] = file_of(serving, op)
    return modules[folder, op, dtype]


def file_of(folder: str, name: str) -> ModuleType:
    """The module minidl/kernels/FOLDER/NAME, imported when first asked for."""
    return import_module(f"minidl.kernels.{folder}.{name}")


class use_cpu_kernels:
    """Choose the CPU kernel set.

    Works as a statement and as a context manager; the environment variable MINIDL_CPU_KERNELS
    chooses at the start. The choice holds for the whole process.

    Args:
        name: "numba" (the default) or "reference", plain NumPy.

    Raises:
        ArgumentError: no such kernel set.

    >>> with minidl.use_cpu_kernels("reference"):
    ...     y = minidl.ones(1, 1, 4, 4).relu()
    """

    def __init__(self, name: str):
        global cpu_folder
        if name not in CPU_SETS:
            raise ArgumentError(
                "use_cpu_kernels", "no such kernel set", {"name": name}, nearest(name, CPU_SETS)
            )
        self.previous = cpu_folder
        cpu_folder = CPU_SETS[name]

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        global cpu_folder
        cpu_folder = self.previous


def cpu_kernels() -> str:
    """The name of the CPU kernel set in use."""
    return next(name for name, folder in CPU_SETS.items() if folder == cpu_folder)


if "MINIDL_CPU_KERNELS" in os.environ:
    use_cpu_kernels(os.environ["MINIDL_CPU_KERNELS"])
