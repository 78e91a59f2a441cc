"""Kernels in Numba: the reference kernels' functions, compiled for this CPU and parallel.

A kernel takes arrays of any strides and of float32 or float64. It brings activations into
channels-last memory first (minidl/kernels/layout.py; usually they are), so that the compiled loop
sees contiguous arrays only and one compilation per dtype serves all calls. Arrays that cannot be
written to (np.load(..., mmap_mode="r")) are other types to Numba, and the first call with one
compiles anew, for a second or two. Compiled code is kept on disk (minidl/kernels/compiled_code.py).

A parallel kernel lets go of Python's lock (the GIL) while it computes, so a loader's threads go on;
nogil=True would change nothing. Two Python threads may be inside kernels at once where Numba has
OpenMP or TBB. Where it has only its own thread pool ("workqueue": macOS without libomp, containers
without libgomp), it ends the process then and says so; pip install tbb helps.

A process that was forked after the first parallel loop must not run one itself: GNU's OpenMP does
not survive a fork, and Numba ends the child with a message that says so. Start processes with
`spawn`, or fork before the first step.

Matrix products, and convolutions that are made of them, are shared among Python threads instead
(minidl/kernels/cpu/threads/). Where NumPy computes faster than a compiled loop (cross_entropy.py),
it does.

    *.py            a file for each operation, as in reference/
    convolution/    the ways to compute a convolution, among which conv2d.py chooses
    vector/         vector instructions, and what is built from them in registers
    threads/        how work is divided among the cores
"""

import os
from typing import Any

from minidl.errors import DtypeError
from minidl.kernels.compiled_code import ensure_folder

# Between two parallel loops OpenMP's threads spin for a while, waiting for work. Where another
# program wants the cores, the spinning holds up the thread that has work, and small networks
# become ten times slower. To wake a sleeping one takes 0.1 to 0.2 ms. GNU's OpenMP may be told how
# often to look: for about as long as that, in which the next layer of a small network follows. (For
# a third of it, ResNet-20 was an eighth slower on an idle machine; for three times as long, an LSTM
# a third slower beside another program.) Other implementations take the first setting, or none.
# Read when Numba starts; programs that this one starts inherit them.
if "OMP_WAIT_POLICY" not in os.environ:
    os.environ["OMP_WAIT_POLICY"] = "passive"
    os.environ.setdefault("GOMP_SPINCOUNT", "10000")

ensure_folder()

# Operations whose reference kernel is a line or two of NumPy for each number. It serves the dtypes
# that Numba does not know: float16, longdouble, and numbers in another machine's byte order.
SERVED_BY_REFERENCE = (
    "relu", "relu6", "leaky_relu", "tanh", "sgd", "adam", "rmsprop", "adagrad", "sum_of_squares",
)  # fmt: skip
OF_ANY_DTYPE = ("matmul",)  # which NumPy computes here, too


def set_for(op: str, dtype: Any) -> str:
    """The kernel set that computes an operation on arrays of a dtype.

    Raises:
        DtypeError: this one does not know the dtype, and the operation needs it.
    """
    known = dtype.isnative and (dtype.kind != "f" or dtype.itemsize in (4, 8))
    if known or op in OF_ANY_DTYPE:
        return "cpu"
    if op in SERVED_BY_REFERENCE:
        return "reference"
    raise DtypeError(
        op, "Numba computes in float32 and float64 of this machine's byte order only",
        {"dtype": str(dtype) if dtype.isnative else dtype.str},
        'convert with x.to("float32")',
    )  # fmt: skip
