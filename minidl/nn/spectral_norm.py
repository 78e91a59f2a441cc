"""Layers whose weight is divided by its largest singular value.

    layer = nn.spectral_norm(nn.Conv2d(3, 32, 4, stride=2, padding=1))

What learns is parametrizations.weight.original; layer.weight is computed from it whenever it is
read, at each call of the layer. In training each reading first makes a step of power iteration; in
evaluation none, and the same input gives the same output. Names in state_dict are those that
PyTorch's torch.nn.utils.parametrizations.spectral_norm gives, and so are the numbers:

    bias
    parametrizations.weight.original        W
    parametrizations.weight.0._u            the estimate of W's first left singular vector
    parametrizations.weight.0._v            and of the right one

A frozen layer still iterates in training, as in PyTorch: its weight stays, and the estimate becomes
better.
"""

from __future__ import annotations

from typing import Any

from minidl.creation import randn
from minidl.errors import ArgumentError
from minidl.nn.checks import check_sizes
from minidl.nn.container import ModuleDict
from minidl.nn.conv import Conv2d, ConvTranspose2d
from minidl.nn.linear import Linear
from minidl.nn.module import Module, Parameter
from minidl.ops.spectral_norm import SpectralNorm as Divided
from minidl.ops.spectral_norm import check_arguments, check_weight, iterate
from minidl.shapes import is_number
from minidl.tensor import Tensor

FIRST_STEPS = 15  # of power iteration, from vectors drawn at random


class SpectralNorm(Module):
    """Divides a weight by its largest singular value; see minidl.nn.functional.spectral_norm.

    Args:
        weight: what will be normalized, at least two dimensions.
        n_power_iterations: steps of power iteration at each call, in training.
        dim: the weight's dimension of outputs.
        eps: the least length that a vector is divided by.

    Shapes: the weight's, kept.

    Raises:
        ShapeError: the weight is no matrix; later, another one than this norm was made for.
        ArgumentError: the weight is empty, or an option is out of range.
        DtypeError: not floating point.

    >>> norm = minidl.nn.SpectralNorm(minidl.tensor([[3.0, 0.0], [0.0, 1.0]]))
    >>> norm(minidl.tensor([[3.0, 0.0], [0.0, 1.0]]))
    tensor([[1.    , 0.    ],
            [0.    , 0.3333]])
    """

    def __init__(
        self, weight: Tensor, n_power_iterations: int = 1, dim: int = 0, eps: float = 1e-12
    ):
        super().__init__()
        check_sizes("spectral_norm", n_power_iterations=n_power_iterations)
        if not is_number(eps) or not eps >= 0:
            raise ArgumentError("spectral_norm", "eps is a number >= 0", {"eps": eps})
        self.n_power_iterations, self.eps = n_power_iterations, eps
        self.dim = check_weight("spectral_norm", weight, dim)
        h = weight.shape[self.dim]
        for name, size in (("_u", h), ("_v", weight.numel() // h)):
            self.register_buffer(name, randn(size, dtype=weight.dtype))
        self.improve(weight, FIRST_STEPS)

    def improve(self, weight: Tensor, steps: int) -> Any:
        """Bring u and v closer to the singular vectors, in place. Returns sigma, if it is known."""
        u, v = self._u.data, self._v.data
        u[...], v[...], sigma = iterate(weight.data, u, v, self.dim, steps, self.eps)
        return sigma

    def forward(self, weight: Tensor) -> Tensor:
        u, v = self._u, self._v
        check_arguments("spectral_norm", weight, u, v, self.dim)
        sigma = self.improve(weight, self.n_power_iterations) if self.training else None
        return Divided(u.data, v.data, self.dim, sigma).apply(weight)

    def extra_repr(self) -> str:
        return f"n_power_iterations={self.n_power_iterations}, dim={self.dim}"


class NormalizedWeight(Module):
    """A weight that learns, and the norm through which a layer sees it.

    Args:
        weight: becomes `original`.
        norm: Tensor -> Tensor of the same shape.

    >>> weight = minidl.nn.Parameter(minidl.tensor([[2.0, 0.0], [0.0, 2.0]]))
    >>> minidl.nn.NormalizedWeight(weight, minidl.nn.SpectralNorm(weight))()
    tensor([[1., 0.],
            [0., 1.]], grad_fn=<SpectralNorm>)
    """

    def __init__(self, weight: Parameter, norm: Module):
        super().__init__()
        self.original = weight
        self.add_module("0", norm)

    def forward(self) -> Tensor:
        return self.modules_here["0"](self.original)


class WithNormalizedWeight:
    """What the layers below have in place of the parameter `weight`."""

    @property
    def weight(self) -> Tensor:
        """Of this call: in training, reading it makes a step of power iteration."""
        return self.parametrizations["weight"]()


class SpectralConv2d(WithNormalizedWeight, Conv2d):
    """What spectral_norm makes of a Conv2d.

    >>> type(minidl.nn.spectral_norm(minidl.nn.Conv2d(3, 8, 3))).__name__
    'SpectralConv2d'
    """


class SpectralConvTranspose2d(WithNormalizedWeight, ConvTranspose2d):
    """What spectral_norm makes of a ConvTranspose2d.

    >>> type(minidl.nn.spectral_norm(minidl.nn.ConvTranspose2d(3, 8, 3))).__name__
    'SpectralConvTranspose2d'
    """


class SpectralLinear(WithNormalizedWeight, Linear):
    """What spectral_norm makes of a Linear.

    >>> type(minidl.nn.spectral_norm(minidl.nn.Linear(3, 8))).__name__
    'SpectralLinear'
    """


KINDS: dict[type, type] = {
    Conv2d: SpectralConv2d, ConvTranspose2d: SpectralConvTranspose2d, Linear: SpectralLinear,
}  # fmt: skip


def spectral_norm(
    module: Module,
    name: str = "weight",
    n_power_iterations: int = 1,
    eps: float = 1e-12,
    dim: int | None = None,
) -> Any:
    """Divide a layer's weight by its largest singular value from now on.

    The largest singular value is by how much the layer can stretch a difference of inputs; so a
    discriminator of such layers changes its score no faster than its input.

    Miyato et al. 2018, "Spectral normalization for generative adversarial networks".

    Args:
        module: a Conv2d, ConvTranspose2d or Linear; it is changed.
        name: of the parameter: "weight".
        n_power_iterations: steps of power iteration at each call, in training.
        eps: the least length that a vector is divided by.
        dim: the weight's dimension of outputs; None for 0, or 1 of a ConvTranspose2d.

    Returns:
        The layer.

    Raises:
        ArgumentError: another module, one that is normalized already, or another parameter; an
            option is out of range.

    >>> layer = minidl.nn.spectral_norm(minidl.nn.Linear(20, 40))
    >>> list(layer.state_dict())[1]
    'parametrizations.weight.original'
    """
    if type(module) not in KINDS:
        raise ArgumentError(
            "spectral_norm", "module is a Conv2d, ConvTranspose2d or Linear",
            {"module": type(module).__name__},
        )  # fmt: skip
    if name != "weight":
        raise ArgumentError("spectral_norm", 'only "weight" is normalized', {"name": name})
    if dim is None:
        dim = 1 if isinstance(module, ConvTranspose2d) else 0
    weight = module.weight
    normalized = NormalizedWeight(weight, SpectralNorm(weight, n_power_iterations, dim, eps))
    del module.weight
    object.__setattr__(module, "__class__", KINDS[type(module)])
    module.parametrizations = ModuleDict({"weight": normalized})
    return module
