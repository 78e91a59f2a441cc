"""PyTorch's initialisers. All write in place, draw from minidl's generator and return the tensor.

Fans: a weight of shape (out, in, *kernel) has fan_in = in * prod(kernel), the inputs that one
output sums, and fan_out = out * prod(kernel), the outputs that one input reaches. With values of
standard deviation gain / sqrt(fan_in) activations keep their size from layer to layer, with
fan_out gradients do on their way back.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from minidl.device import array_module
from minidl.errors import ArgumentError, DtypeError, ShapeError, nearest
from minidl.ops.inplace import check_writeable
from minidl.random import generator
from minidl.tensor import Tensor

__all__ = [
    "calculate_gain", "constant_", "dirac_", "eye_", "fans", "kaiming_normal_", "kaiming_uniform_",
    "normal_", "ones_", "orthogonal_", "sparse_", "trunc_normal_", "uniform_", "xavier_normal_",
    "xavier_uniform_", "zeros_",
]  # fmt: skip

GAINS = {
    "linear": 1.0, "conv1d": 1.0, "conv2d": 1.0, "conv3d": 1.0, "conv_transpose1d": 1.0,
    "conv_transpose2d": 1.0, "conv_transpose3d": 1.0, "sigmoid": 1.0, "tanh": 5 / 3,
    "relu": math.sqrt(2), "leaky_relu": None, "selu": 3 / 4,
}  # fmt: skip


def calculate_gain(nonlinearity: str, param: float | None = None) -> float:
    """By how much weights are scaled to make up for what a nonlinearity takes away.

    linear, conv and sigmoid 1, tanh 5/3, relu sqrt(2), leaky_relu sqrt(2 / (1 + slope^2)),
    selu 3/4: PyTorch's values; those of the relus are derived in He et al. 2015, section 2.2.

    Args:
        nonlinearity: the name of the function that follows, "relu".
        param: the negative slope of leaky_relu; None for 0.01.

    Returns:
        The gain.

    Raises:
        ArgumentError: no such nonlinearity.

    >>> minidl.nn.init.calculate_gain("leaky_relu", 1.0)
    1.0
    """
    if not isinstance(nonlinearity, str) or nonlinearity not in GAINS:
        raise ArgumentError(
            "calculate_gain", "no such nonlinearity", {"nonlinearity": nonlinearity},
            nearest(nonlinearity, GAINS),
        )  # fmt: skip
    if nonlinearity != "leaky_relu":
        return GAINS[nonlinearity]
    slope = 0.01 if param is None else param
    check_numbers("calculate_gain", param=slope)
    return math.sqrt(2 / (1 + slope * slope))


def fans(tensor: Tensor) -> tuple[int, int]:
    """(fan_in, fan_out) of a weight with at least 2 dimensions.

    Args:
        tensor: (out, in, *kernel).

    Returns:
        Two ints.

    Raises:
        ShapeError: tensor has fewer than 2 dimensions.
    """
    check_weight("fans", tensor)
    if tensor.data.ndim < 2:
        raise ShapeError("fans", "a weight has at least 2 dimensions", {"tensor": tensor})
    kernel = math.prod(tensor.data.shape[2:])
    return tensor.data.shape[1] * kernel, tensor.data.shape[0] * kernel


# --- plain distributions and constants -----------------------------------------------------------


def uniform_(tensor: Tensor, a: float = 0.0, b: float = 1.0) -> Tensor:
    """Values uniform in [a, b).

    Args:
        tensor: floating point, any shape.
        a, b: the ends of the interval, a <= b.

    Returns:
        tensor.

    Raises:
        ArgumentError: b is less than a, or b - a is not finite.
    """
    check_weight("uniform_", tensor)
    check_numbers("uniform_", a=a, b=b)
    if not (a <= b and b - a < math.inf):
        raise ArgumentError("uniform_", "a is at most b, and b - a is finite", {"a": a, "b": b})
    return write(tensor, generator().uniform(a, b, tensor.data.shape))


def normal_(tensor: Tensor, mean: float = 0.0, std: float = 1.0) -> Tensor:
    """Normal values of the given mean and standard deviation.

    Args:
        tensor: floating point, any shape.
        mean: of the distribution.
        std: its standard deviation, at least 0.

    Returns:
        tensor.

    Raises:
        ArgumentError: std is negative or not finite.
    """
    check_weight("normal_", tensor)
    check_normal("normal_", mean, std)
    return write(tensor, generator().normal(mean, std, tensor.data.shape))


def trunc_normal_(
    tensor: Tensor, mean: float = 0.0, std: float = 1.0, a: float = -2.0, b: float = 2.0
) -> Tensor:
    """Normal values, those outside of [a, b] drawn again; a and b are not multiples of std.

    [a, b] must hold at least a thousandth of the distribution.

    Args:
        tensor: floating point, any shape.
        mean: of the normal distribution.
        std: its standard deviation, above 0.
        a, b: the smallest and largest value.

    Returns:
        tensor.

    Raises:
        ArgumentError: [a, b] holds less of the distribution.
    """
    check_weight("trunc_normal_", tensor)
    check_normal("trunc_normal_", mean, std)
    check_numbers("trunc_normal_", a=a, b=b)
    if std == 0 or not inside_probability((a - mean) / std, (b - mean) / std) >= 1e-3:
        raise ArgumentError(
            "trunc_normal_", "[a, b] holds at least a thousandth of the normal distribution",
            {"mean": mean, "std": std, "a": a, "b": b},
        )  # fmt: skip
    values = generator().normal(mean, std, tensor.data.shape)
    outside = (values < a) | (values > b)
    while outside.any():
        values[outside] = generator().normal(mean, std, int(outside.sum()))
        outside = (values < a) | (values > b)
    return write(tensor, values)


def inside_probability(a: float, b: float) -> float:
    """How likely a standard normal value is between a and b."""
    return (math.erf(b / math.sqrt(2)) - math.erf(a / math.sqrt(2))) / 2


def constant_(tensor: Tensor, val: float) -> Tensor:
    """One value everywhere.

    Args:
        tensor: floating point, any shape.
        val: the value.

    Returns:
        tensor.
    """
    check_weight("constant_", tensor)
    check_numbers("constant_", val=val)
    tensor.data[...] = val
    return tensor


def ones_(tensor: Tensor) -> Tensor:
    """1 everywhere.

    Args:
        tensor: floating point, any shape.

    Returns:
        tensor.
    """
    return constant_(tensor, 1.0)


def zeros_(tensor: Tensor) -> Tensor:
    """0 everywhere.

    Args:
        tensor: floating point, any shape.

    Returns:
        tensor.
    """
    return constant_(tensor, 0.0)


# --- scaled by the fans --------------------------------------------------------------------------


def xavier_uniform_(tensor: Tensor, gain: float = 1.0) -> Tensor:
    """Uniform in +-gain sqrt(6 / (fan_in + fan_out)) (Glorot and Bengio 2010, equation 16).

    Args:
        tensor: the weight, of at least 2 dimensions.
        gain: of the nonlinearity that follows; see calculate_gain.

    Returns:
        tensor.

    Raises:
        ShapeError: tensor has fewer than 2 dimensions.
    """
    check_numbers("xavier_uniform_", gain=gain)
    bound = gain * math.sqrt(6 / max(1, sum(fans(tensor))))
    return uniform_(tensor, -bound, bound)


def xavier_normal_(tensor: Tensor, gain: float = 1.0) -> Tensor:
    """Normal of standard deviation gain sqrt(2 / (fan_in + fan_out)) (Glorot and Bengio 2010).

    Args:
        tensor: the weight, of at least 2 dimensions.
        gain: of the nonlinearity that follows; see calculate_gain.

    Returns:
        tensor.

    Raises:
        ShapeError: tensor has fewer than 2 dimensions.
    """
    check_numbers("xavier_normal_", gain=gain)
    return normal_(tensor, 0.0, gain * math.sqrt(2 / max(1, sum(fans(tensor)))))


def kaiming_uniform_(
    tensor: Tensor, a: float = 0.0, mode: str = "fan_in", nonlinearity: str = "leaky_relu"
) -> Tensor:
    """Uniform in +-gain sqrt(3 / fan) (He et al. 2015, equations 10 and 14).

    Args:
        tensor: the weight, of at least 2 dimensions.
        a: the negative slope of the leaky_relu that follows; 0 is relu.
        mode: "fan_in" keeps the size of activations, "fan_out" that of gradients.
        nonlinearity: what follows; see calculate_gain.

    Returns:
        tensor.

    Raises:
        ArgumentError: no such mode or nonlinearity.
        ShapeError: tensor has fewer than 2 dimensions.
    """
    bound = math.sqrt(3) * kaiming_std("kaiming_uniform_", tensor, a, mode, nonlinearity)
    return uniform_(tensor, -bound, bound)


def kaiming_normal_(
    tensor: Tensor, a: float = 0.0, mode: str = "fan_in", nonlinearity: str = "leaky_relu"
) -> Tensor:
    """Normal of standard deviation gain / sqrt(fan) (He et al. 2015, equations 10 and 14).

    Args:
        tensor: the weight, of at least 2 dimensions.
        a: the negative slope of the leaky_relu that follows; 0 is relu.
        mode: "fan_in" keeps the size of activations, "fan_out" that of gradients.
        nonlinearity: what follows; see calculate_gain.

    Returns:
        tensor.

    Raises:
        ArgumentError: no such mode or nonlinearity.
        ShapeError: tensor has fewer than 2 dimensions.
    """
    return normal_(tensor, 0.0, kaiming_std("kaiming_normal_", tensor, a, mode, nonlinearity))


def kaiming_std(op: str, tensor: Tensor, a: float, mode: str, nonlinearity: str) -> float:
    modes = {"fan_in": 0, "fan_out": 1}
    if not isinstance(mode, str) or mode not in modes:
        raise ArgumentError(op, 'mode is "fan_in" or "fan_out"', {"mode": mode})
    return calculate_gain(nonlinearity, a) / math.sqrt(max(1, fans(tensor)[modes[mode]]))


# --- structured ----------------------------------------------------------------------------------


def eye_(tensor: Tensor) -> Tensor:
    """The identity matrix: a linear layer starts by passing its input through.

    Args:
        tensor: a matrix; it need not be square.

    Returns:
        tensor.

    Raises:
        ShapeError: tensor does not have 2 dimensions.
    """
    check_matrix("eye_", tensor)
    return write(tensor, np.eye(*tensor.data.shape))


def dirac_(tensor: Tensor, groups: int = 1) -> Tensor:
    """The identity of convolutions: channel c of each group is passed to output c of the group.

    Args:
        tensor: (K, C/groups, *kernel), of 3 to 5 dimensions.
        groups: of the convolution; divides K.

    Returns:
        tensor.

    Raises:
        ShapeError: tensor does not have 3 to 5 dimensions.
        ArgumentError: groups does not divide K.
    """
    check_weight("dirac_", tensor)
    if not 3 <= tensor.data.ndim <= 5:
        raise ShapeError("dirac_", "tensor has 3, 4 or 5 dimensions", {"tensor": tensor})
    K, C, *kernel = tensor.data.shape
    if not isinstance(groups, int) or groups < 1 or K % groups:
        raise ArgumentError(
            "dirac_", "groups is an int >= 1 that divides the output channels",
            {"tensor": tensor, "groups": groups},
        )  # fmt: skip
    values = np.zeros(tensor.data.shape)
    center = tuple(size // 2 for size in kernel)
    for group in range(groups):
        for c in range(min(C, K // groups)):
            values[(group * (K // groups) + c, c, *center)] = 1
    return write(tensor, values)


def orthogonal_(tensor: Tensor, gain: float = 1.0) -> Tensor:
    """A matrix with orthonormal rows (or columns, where there are fewer), times gain.

    Dimensions after the first count as one. Q of the QR decomposition of a normal matrix, columns
    signed like the diagonal of R, is uniform among such matrices (Saxe et al. 2014; Mezzadri 2007).

    Args:
        tensor: the weight, of at least 2 dimensions.
        gain: the length of the rows (or columns).

    Returns:
        tensor.

    Raises:
        ShapeError: tensor has fewer than 2 dimensions.
    """
    check_weight("orthogonal_", tensor)
    check_numbers("orthogonal_", gain=gain)
    if tensor.data.ndim < 2:
        raise ShapeError("orthogonal_", "a weight has at least 2 dimensions", {"tensor": tensor})
    if tensor.data.size == 0:
        return tensor
    rows = len(tensor.data)
    columns = tensor.data.size // rows
    q, r = np.linalg.qr(generator().standard_normal((max(rows, columns), min(rows, columns))))
    q *= np.sign(np.diag(r))
    return write(tensor, gain * (q if rows >= columns else q.T).reshape(tensor.data.shape))


def sparse_(tensor: Tensor, sparsity: float, std: float = 0.01) -> Tensor:
    """Normal values of standard deviation std, a share `sparsity` of each column zero.

    Martens 2010, "Deep learning via Hessian-free optimization", section 5.

    Args:
        tensor: a matrix.
        sparsity: the share of zeros, from 0 to 1.
        std: standard deviation of the other values.

    Returns:
        tensor.

    Raises:
        ArgumentError: sparsity is not from 0 to 1.
        ShapeError: tensor does not have 2 dimensions.
    """
    check_matrix("sparse_", tensor)
    check_normal("sparse_", 0.0, std)
    check_numbers("sparse_", sparsity=sparsity)
    if not 0 <= sparsity <= 1:
        raise ArgumentError("sparse_", "sparsity is from 0 to 1", {"sparsity": sparsity})
    rows, columns = tensor.data.shape
    values = generator().normal(0.0, std, (rows, columns))
    for column in range(columns):
        values[generator().permutation(rows)[: math.ceil(sparsity * rows)], column] = 0
    return write(tensor, values)


# --- shared --------------------------------------------------------------------------------------


def write(tensor: Tensor, values: np.ndarray) -> Tensor:
    """Put NumPy values into the tensor's memory, whatever its dtype, layout and device."""
    tensor.data[...] = array_module(tensor.data).asarray(values)
    return tensor


def check_weight(op: str, tensor: Any) -> None:
    if not isinstance(tensor, Tensor):
        raise DtypeError(op, "tensor must be a Tensor", {"tensor": type(tensor).__name__})
    if tensor.data.dtype.kind != "f":
        raise DtypeError(op, "expects a floating-point tensor", {"tensor": tensor})
    check_writeable(op, tensor=tensor)


def check_matrix(op: str, tensor: Any) -> None:
    check_weight(op, tensor)
    if tensor.data.ndim != 2:
        raise ShapeError(op, "tensor has 2 dimensions", {"tensor": tensor})


def check_normal(op: str, mean: Any, std: Any) -> None:
    check_numbers(op, mean=mean, std=std)
    if not 0 <= std < math.inf:
        raise ArgumentError(op, "std is at least 0, and finite", {"std": std})


def check_numbers(op: str, **arguments: Any) -> None:
    for name, value in arguments.items():
        if not isinstance(value, int | float | np.number):
            raise ArgumentError(op, f"{name} is a number", {name: value})
