"""Each recorded operation as ONNX nodes: a table for each family, Function class -> converter.

A converter takes the Writer, the Function and the names of its inputs, adds nodes, and returns the
name of the output, or a list of them.
"""

from minidl.io.onnx.exporters import comparison, elementwise, network, reduction, remainder, shape
from minidl.ops.binary_cross_entropy_with_logits import BinaryCrossEntropyWithLogits
from minidl.ops.cross_entropy import CrossEntropy, SoftCrossEntropy
from minidl.ops.dropout import Dropout
from minidl.ops.hinge_embedding_loss import HingeEmbeddingLoss
from minidl.ops.l1_loss import L1Loss
from minidl.ops.mse_loss import MSELoss
from minidl.ops.multi_margin_loss import MultiMarginLoss
from minidl.ops.nll_loss import NLLLoss

FAMILIES = (comparison, elementwise, network, reduction, remainder, shape)
CONVERTERS = {kind: make for family in FAMILIES for kind, make in family.CONVERTERS.items()}

LOSS = "a loss is for training; export the network without it"
NOT_EXPORTED = {
    BinaryCrossEntropyWithLogits: LOSS, CrossEntropy: LOSS, HingeEmbeddingLoss: LOSS, L1Loss: LOSS,
    MSELoss: LOSS, MultiMarginLoss: LOSS, NLLLoss: LOSS, SoftCrossEntropy: LOSS,
    Dropout: "dropout is for training; pass training=self.training, so that evaluation has none",
}  # fmt: skip
"""Operations without a converter, and why."""

__all__ = ["CONVERTERS", "FAMILIES", "NOT_EXPORTED"]
