"""Every network of the registry, narrow and for small pictures, so that a test takes no time."""

import models
from models.registry import arguments_of

# Pixels per side that are enough for each, where 32 are not.
SIDES = {"googlenet": 80, "googlenet_naive": 80, "alexnet": 67, "alexnet_one_tower": 67,
         "alexnet_torchvision": 63, "lenet_caffe": 28}  # fmt: skip
DEEP = "preact_resnet1001_cifar"  # a second for one pass, however narrow


def side_of(name):
    return SIDES.get(name, 32)


def build(name, **arguments):
    """The network at a sixteenth of its width; those for CIFAR, narrow already, at a quarter."""
    known = arguments_of(name)
    if "width" in known:
        arguments.setdefault("width", 0.25 if "cifar" in name else 1 / 16)
    if "size" in known:
        arguments.setdefault("size", side_of(name))
    return models.build(name, **arguments)
