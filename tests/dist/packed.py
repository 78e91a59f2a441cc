"""The oracle of compression: all slots in one process, their gradients packed and unpacked."""

import numpy as np

from minidl.tensor import Tensor
from minidl.training.slots import Slots
from minidl_dist.compress import PACKED, Codec
from minidl_dist.messages import SlotChunk
from minidl_dist.plan import Job
from minidl_dist.tensors import Chunks, make_plan


class Packed(Slots):
    """Slots as those of minidl.fit, but for what compression does to the gradient of each.

    Args:
        compress: the scheme.
        every: steps from one checkpoint to the next.
        default: how many slots a step has where the user does not say.
    """

    def __init__(self, compress, every, default=1):
        self.job, self.default = Job(("server0",), compress=compress, save_every=every), default
        self.packed = 0

    def begin(self, run):
        super().begin(run)
        self.plan, self.tensors = make_plan(
            run.model, run.optimizer, run.accumulate, len(run.loader), run.epochs
        )
        self.codec = Codec(self.plan, self.job)
        self.chunks = Chunks(self.plan, self.tensors, self.give)

    def of_step(self, first, batches):
        self.sums = {}
        for self.slot, batch in enumerate(super().of_step(first, batches)):
            self.chunks.begin()
            yield batch

    def give(self, number, values, missing):
        packed = self.codec.pack(SlotChunk(1, self.run.step, self.slot, number, values, missing))
        if packed.dtype == PACKED:
            self.packed += 1
            packed = self.codec.unpack(number, packed)
        for piece in self.plan.chunks[number].pieces:
            if piece.tensor not in missing:
                sums, part = self.sums.setdefault(piece.tensor, {}), packed[piece.place]
                known = sums.get(piece.start)
                sums[piece.start] = part.copy() if known is None else known + part

    def add(self, values=None):
        self.chunks.end()
        super().add(values)

    def take_step(self):
        for number, sums in self.sums.items():
            tensor = self.tensors[number]
            flat = np.concatenate([sums[start] for start in sorted(sums)])
            tensor.grad = Tensor(flat.reshape(tensor.shape))
        super().take_step()
