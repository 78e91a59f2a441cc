"""A plan of two tensors in two chunks, and messages about them."""

import numpy as np

from minidl_dist import messages as m
from minidl_dist.checksum import checksum
from minidl_dist.plan import Plan, TensorSpec

GROUP = {"lr": 1.0, "momentum": 0.0, "dampening": 0.0, "weight_decay": 0.0, "nesterov": False,
         "lr_mult": 1.0}  # fmt: skip


def small_plan(**fields):
    tensors = (TensorSpec("w", (4,), "float32"), TensorSpec("b", (2,), "float32"))
    facts = {"slots": 2, "batches_per_epoch": 3, "epochs": 2, "chunk_bytes": 16, "norm_block": 4}
    return Plan(tensors, "SGD", **{**facts, **fields})


def values(*numbers):
    return np.array(numbers, np.float32)


def push(slot, numbers, step=0, chunk=1):
    return m.Push(1, step, slot, chunk, checksum(values(*numbers)), [], values(*numbers))


def head(slot, step=0, weight=1.0, missing=(), clip=None, nan="", **options):
    return m.Head(1, step, slot, weight, [GROUP | options], list(missing), clip, nan)
