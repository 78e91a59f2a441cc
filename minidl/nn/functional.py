"""The operations of minidl.ops under the names of torch.nn.functional."""

from minidl.ops.adaptive_avg_pool2d import adaptive_avg_pool2d
from minidl.ops.avg_pool2d import avg_pool2d
from minidl.ops.batch_norm import batch_norm
from minidl.ops.binary_cross_entropy_with_logits import binary_cross_entropy_with_logits
from minidl.ops.conv2d import conv2d
from minidl.ops.conv2d_relu import conv2d_relu
from minidl.ops.conv_transpose2d import conv_transpose2d
from minidl.ops.cosine_similarity import cosine_similarity
from minidl.ops.cross_entropy import cross_entropy
from minidl.ops.dropout import dropout, dropout2d
from minidl.ops.embedding import embedding
from minidl.ops.hinge_embedding_loss import hinge_embedding_loss
from minidl.ops.instance_norm import instance_norm
from minidl.ops.interpolate import interpolate
from minidl.ops.l1_loss import l1_loss
from minidl.ops.leaky_relu import leaky_relu
from minidl.ops.likeliest import likeliest
from minidl.ops.linear import linear
from minidl.ops.lrn import local_response_norm
from minidl.ops.match_patches import match_patches
from minidl.ops.max_pool2d import max_pool2d
from minidl.ops.minibatch_std import minibatch_std
from minidl.ops.mse_loss import mse_loss
from minidl.ops.multi_margin_loss import multi_margin_loss
from minidl.ops.nll_loss import nll_loss
from minidl.ops.normalize import normalize
from minidl.ops.pad import pad
from minidl.ops.pairwise_distance import cdist, pairwise_distance
from minidl.ops.relu import relu
from minidl.ops.relu6 import relu6
from minidl.ops.shift import shift
from minidl.ops.sigmoid import sigmoid
from minidl.ops.softmax import log_softmax, softmax
from minidl.ops.softplus import softplus
from minidl.ops.spectral_norm import spectral_norm
from minidl.ops.tanh import tanh
from minidl.ops.unfold import unfold

__all__ = [
    "adaptive_avg_pool2d", "avg_pool2d", "batch_norm", "binary_cross_entropy_with_logits", "cdist",
    "conv2d", "conv2d_relu", "conv_transpose2d", "cosine_similarity", "cross_entropy", "dropout",
    "dropout2d", "embedding", "hinge_embedding_loss", "instance_norm", "interpolate", "l1_loss",
    "leaky_relu", "likeliest", "linear", "local_response_norm", "log_softmax", "match_patches",
    "max_pool2d", "minibatch_std", "mse_loss", "multi_margin_loss", "nll_loss", "normalize", "pad",
    "pairwise_distance", "relu", "relu6", "shift", "sigmoid", "softmax", "softplus",
    "spectral_norm", "tanh", "unfold",
]  # fmt: skip
