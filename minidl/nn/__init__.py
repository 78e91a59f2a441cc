"""Layers: Module and what is built on it, under PyTorch's names."""

from minidl.nn import functional, init
from minidl.nn.activation import (
    LeakyReLU,
    LogSoftmax,
    ReLU,
    ReLU6,
    Sigmoid,
    Softmax,
    Softplus,
    Tanh,
)
from minidl.nn.container import ModuleDict, ModuleList, Sequential
from minidl.nn.conv import Conv2d, ConvTranspose2d
from minidl.nn.distance import CosineSimilarity, PairwiseDistance
from minidl.nn.dropout import Dropout, Dropout2d
from minidl.nn.embedding import Embedding
from minidl.nn.evaluating import evaluating
from minidl.nn.fuse import fuse_batch_norms
from minidl.nn.linear import Flatten, Identity, Linear
from minidl.nn.loss import (
    BCEWithLogitsLoss,
    CrossEntropyLoss,
    HingeEmbeddingLoss,
    L1Loss,
    MSELoss,
    MultiMarginLoss,
    NLLLoss,
)
from minidl.nn.lstm import LSTM, LSTMCell
from minidl.nn.module import Module, Parameter
from minidl.nn.norm import BatchNorm1d, BatchNorm2d, InstanceNorm2d, LocalResponseNorm
from minidl.nn.pad import ConstantPad2d, ReflectionPad2d, ReplicationPad2d, ZeroPad2d
from minidl.nn.pool import AdaptiveAvgPool2d, AvgPool2d, MaxPool2d
from minidl.nn.spectral_norm import (
    NormalizedWeight,
    SpectralConv2d,
    SpectralConvTranspose2d,
    SpectralLinear,
    SpectralNorm,
    spectral_norm,
)
from minidl.nn.unchanging import unchanging
from minidl.nn.upsample import Unfold, Upsample

__all__ = [
    "AdaptiveAvgPool2d", "AvgPool2d", "BCEWithLogitsLoss", "BatchNorm1d", "BatchNorm2d",
    "ConstantPad2d", "Conv2d", "ConvTranspose2d", "CosineSimilarity", "CrossEntropyLoss", "Dropout",
    "Dropout2d", "Embedding", "Flatten", "HingeEmbeddingLoss", "Identity", "InstanceNorm2d",
    "L1Loss", "LSTM", "LSTMCell", "LeakyReLU", "Linear", "LocalResponseNorm", "LogSoftmax",
    "MSELoss", "MaxPool2d", "Module", "ModuleDict", "ModuleList", "MultiMarginLoss", "NLLLoss",
    "NormalizedWeight", "PairwiseDistance", "Parameter", "ReLU", "ReLU6", "ReflectionPad2d",
    "ReplicationPad2d", "Sequential", "Sigmoid", "Softmax", "Softplus", "SpectralConv2d",
    "SpectralConvTranspose2d", "SpectralLinear", "SpectralNorm", "Tanh", "Unfold", "Upsample",
    "ZeroPad2d", "evaluating", "functional", "fuse_batch_norms", "init", "spectral_norm",
    "unchanging",
]  # fmt: skip
