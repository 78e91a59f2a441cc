"""The embedding layer: a learned vector for each word."""

from __future__ import annotations

from minidl.nn import init
from minidl.nn.checks import check_sizes, new_weight
from minidl.nn.module import Module, Parameter
from minidl.ops.embedding import check_padding_idx, embedding
from minidl.tensor import Tensor


class Embedding(Module):
    """A table of learned vectors, looked up by number; see minidl.nn.functional.embedding.

    Vectors start normal with standard deviation 1, that of padding_idx zero, as in PyTorch. There
    are no max_norm, scale_grad_by_freq and sparse: the gradient is an ordinary (V, D) tensor.

    Args:
        num_embeddings: V, how many vectors.
        embedding_dim: D, their size.
        padding_idx: a row that starts at zero and gets no gradient, or None.

    Shapes: integers (...) -> (..., D).

    >>> minidl.nn.Embedding(10, 4)(minidl.tensor([[1, 2, 9]])).shape
    (1, 3, 4)
    """

    def __init__(self, num_embeddings: int, embedding_dim: int, padding_idx: int | None = None):
        super().__init__()
        check_sizes("Embedding", num_embeddings=num_embeddings, embedding_dim=embedding_dim)
        self.num_embeddings, self.embedding_dim = num_embeddings, embedding_dim
        self.padding_idx = check_padding_idx("Embedding", padding_idx, num_embeddings)
        self.weight = Parameter(new_weight("Embedding", num_embeddings, embedding_dim))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the vectors afresh."""
        init.normal_(self.weight)
        if self.padding_idx is not None:
            self.weight.data[self.padding_idx] = 0

    def forward(self, indices: Tensor) -> Tensor:
        return embedding(indices, self.weight, self.padding_idx)

    def extra_repr(self) -> str:
        text = f"{self.num_embeddings}, {self.embedding_dim}"
        return text if self.padding_idx is None else f"{text}, padding_idx={self.padding_idx}"
