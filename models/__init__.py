"""Networks, each in a file of its own, written with minidl.nn.

    from models import lenet5
    net = lenet5(num_classes=10)

`models.build("lenet", ...)` makes one by name.
"""

from models.lenet import LeNet5, lenet5
from models.registry import Entry, build, entry, names

__all__ = ["Entry", "LeNet5", "build", "entry", "lenet5", "names"]
