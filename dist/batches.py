"""The batches of a worker's slots, prepared while it computes others."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from minidl.errors import ArgumentError
from minidl.training.batch import split_batch
from minidl_dist.plan import Plan


class BatchesAhead:
    """Any batch of a loader by step and slot; the next one is prepared ahead.

    Who computed a slot in one step will probably compute the same slot in the next.

    Args:
        plan: which batch a slot is.
        loader: gives batches by number: a minidl.data.DataLoader, a list, or anything with
            batch(epoch, b).

    Raises:
        ArgumentError: it gives them one after the other only.
    """

    def __init__(self, plan: Plan, loader: Any):
        self.plan, self.loader = plan, loader
        if not hasattr(loader, "batch") and not isinstance(loader, list | tuple):
            raise ArgumentError(
                "dist", "each worker computes other batches, so the loader gives any by its number",
                {"loader": type(loader).__name__},
                "a minidl.data.DataLoader, or define batch(epoch, b)",
            )  # fmt: skip
        threads = getattr(getattr(loader, "loader", loader), "num_workers", 0)
        self.pool = ThreadPoolExecutor(threads, "minidl-loader") if threads else None
        self.coming: dict[tuple[int, int], Future] = {}

    def take(self, step: int, slot: int) -> tuple[Any, Any]:
        """The batch of a slot, as (inputs, targets)."""
        future = self.coming.pop((step, slot), None)
        batch = self.read(step, slot) if future is None else future.result()
        for key in [key for key in self.coming if key[0] < step]:
            self.coming.pop(key).cancel()
        after = step + 1, slot
        exists = after[0] < self.plan.total_steps and slot in self.plan.slots_of(after[0])
        if self.pool is not None and exists and after not in self.coming:
            self.coming[after] = self.pool.submit(self.read, *after)
        return split_batch("fit", batch)

    def read(self, step: int, slot: int) -> Any:
        epoch, b = self.plan.batch_of(step, slot)
        return self.loader.batch(epoch, b) if hasattr(self.loader, "batch") else self.loader[b]
