"""minidl's operations in terms of ONNX's: a table for each subject, Function class -> exporter.

An exporter takes the Writer, the Function and the names of its inputs, adds nodes, and returns the
name of the output, or a list of them. The importers (../importers) are the other direction, in
files of the same names.
"""

from minidl.io.onnx.exporters import (
    comparison,
    convolution,
    elementwise,
    indexing,
    matrix,
    normalization,
    pooling,
    recurrent,
    reduction,
    remainder,
    resize,
    shape,
)
from minidl.io.onnx.writer import WITHOUT_EXPORTER, Writer
from minidl.nn.record import Call
from minidl.ops.binary_cross_entropy_with_logits import BinaryCrossEntropyWithLogits
from minidl.ops.cross_entropy import CrossEntropy, SoftCrossEntropy
from minidl.ops.dropout import Dropout, Dropout2d
from minidl.ops.hinge_embedding_loss import HingeEmbeddingLoss
from minidl.ops.l1_loss import L1Loss
from minidl.ops.match_patches import MatchPatches
from minidl.ops.mse_loss import MSELoss
from minidl.ops.multi_margin_loss import MultiMarginLoss
from minidl.ops.nll_loss import NLLLoss
from minidl.ops.shift import Shift

SUBJECTS = (
    comparison, convolution, elementwise, indexing, matrix, normalization, pooling, recurrent,
    reduction, remainder, resize, shape,
)  # fmt: skip
EXPORTERS = {kind: export for subject in SUBJECTS for kind, export in subject.EXPORTERS.items()}

LOSS = "a loss is for training; export the network without it"
DROPOUT = "dropout is for training; pass training=self.training, so that evaluation has none"
MATCHES = "patches are matched for training, that of a picture; export the network without it"
SHIFT = "pictures are moved at random for training; export the network without it"
NOT_EXPORTED = {
    BinaryCrossEntropyWithLogits: LOSS, CrossEntropy: LOSS, HingeEmbeddingLoss: LOSS, L1Loss: LOSS,
    MSELoss: LOSS, MultiMarginLoss: LOSS, NLLLoss: LOSS, SoftCrossEntropy: LOSS,
    Dropout: DROPOUT, Dropout2d: DROPOUT, MatchPatches: MATCHES,
    Shift: SHIFT,
}  # fmt: skip
"""Operations without an exporter, and why."""

__all__ = ["EXPORTERS", "NOT_EXPORTED", "export_call"]


def export_call(g: Writer, call: Call) -> None:
    """Add the nodes of one recorded operation to a graph.

    Raises:
        ArgumentError: there is no exporter for it.
    """
    kind = type(call.function)
    if kind not in EXPORTERS:
        g.refuse(kind.__name__, call, NOT_EXPORTED.get(kind, WITHOUT_EXPORTER))
    names = [g.name_of(x) for x in call.inputs]
    g.name_outputs(call, EXPORTERS[kind](g, call.function, *names))
