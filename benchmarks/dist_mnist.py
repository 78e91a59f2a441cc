"""LeNet on MNIST for as many examples in every mode; what benchmarks/dist_compress.py runs.

    minidl dist run --workers 4 --slots 4 --mode async benchmarks/dist_mnist.py --workers 4

Workers begin together: in ssp and async, one that was late would wait for the next checkpoint, and
the others compute all. It prints the accuracy on the test set.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import minidl
import minidl_dist
from minidl import nn
from minidl.data import DataLoader, Subset, open_dataset
from minidl_dist import here


def wait_for_others(workers: int) -> None:
    """Until all workers of a job are here."""
    if not minidl_dist.worker_name():
        return
    folder = Path(here.told.folder)
    (folder / f"ready-{here.told.name}").touch()
    while len(list(folder.glob("ready-*"))) < workers:
        time.sleep(0.01)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", default="mnist", help="its name, or a folder that holds it")
    parser.add_argument("--examples", type=int, default=60_000)
    parser.add_argument("--workers", type=int, default=1, help="of the job")
    parser.add_argument("--slots", type=int, default=4)
    parser.add_argument("--batch", type=int, default=32, help="examples of a slot")
    parser.add_argument("--lr", type=float, default=0.01)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()

    from models import lenet5

    minidl.manual_seed(options.seed)
    model = lenet5(padding=2)
    pictures = Subset(open_dataset(options.data, "train"), range(options.examples))
    wait_for_others(options.workers)
    minidl.fit(
        model, DataLoader(pictures, options.batch, shuffle=True, seed=options.seed),
        nn.CrossEntropyLoss(), minidl.optim.SGD(model.parameters(), lr=options.lr, momentum=0.9),
        accumulate=options.slots, metrics={},
    )  # fmt: skip
    if minidl_dist.is_chief():
        found = minidl.evaluate(
            model, DataLoader(open_dataset(options.data, "test"), 500), nn.CrossEntropyLoss()
        )
        print("accuracy", found["accuracy"], flush=True)


if __name__ == "__main__":
    main()
