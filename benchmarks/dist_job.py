"""A short training that benchmarks/dist.py runs alone and by `minidl dist run`, and times.

    python -m benchmarks.dist_job --model resnet20 --batch 128 --slots 2 --steps 40

resnet20 is the network of He et al. 2015, section 4.2, on pictures of 32 x 32; wide is one layer
with 67 MB of weights and next to nothing to compute, linear is one with 4.2 MB. Pictures are noise.
At its end it prints how long its steps took, the first ones (in which kernels are compiled) left
out.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from typing import Any

import numpy as np

import minidl
import minidl_dist
from minidl import nn
from minidl.data import DataLoader, Dataset
from minidl.training.callback import Callback

WARM_UP = 8  # steps
# Channels and height of the pictures.
MODELS = {"resnet20": (3, 32), "wide": (1, 64), "linear": (1, 32)}


class Noise(Dataset):
    """Pictures of random numbers; the first ones again and again."""

    classes = [str(n) for n in range(10)]

    def __init__(self, model: str, examples: int):
        channels, height = MODELS[model]
        self.examples = examples
        rng = np.random.default_rng(0)
        self.pictures = rng.integers(0, 256, (256, height, height, channels), np.uint8)

    def __len__(self) -> int:
        return self.examples

    def __getitem__(self, i: int) -> tuple[np.ndarray, int]:
        return self.pictures[i % len(self.pictures)], i % 10


class Stopwatch(Callback):
    """The time from the end of one step to that of the next."""

    def __init__(self) -> None:
        self.ends: list[float] = []

    def on_step_end(self, run) -> None:
        self.ends.append(time.perf_counter())

    def report(self) -> dict[str, Any]:
        steps = [b - a for a, b in zip(self.ends[WARM_UP:], self.ends[WARM_UP + 1 :])]
        if len(steps) < 2:  # it came late
            return {}
        quarters = statistics.quantiles(steps)
        return {
            "median": statistics.median(steps), "mean": statistics.fmean(steps),
            "spread": (quarters[2] - quarters[0]) / 1.349,  # of a normal distribution: deviation
            "steps": [round(step, 4) for step in steps],
        }  # fmt: skip


class WithoutUpdate(minidl.optim.SGD):
    """What a worker does of a step: servers update the weights."""

    def step(self) -> None:
        pass


def build(name: str) -> nn.Module:
    if name == "resnet20":
        from models import resnet20_cifar

        return resnet20_cifar()
    width = MODELS[name][1] ** 2
    return nn.Sequential(nn.Flatten(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 10))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", choices=MODELS, default="resnet20")
    parser.add_argument("--batch", type=int, default=128, help="examples of a step")
    parser.add_argument("--slots", type=int, default=1, help="batches that make a step")
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--without-update", action="store_true", help="keep the first weights")
    options = parser.parse_args()

    minidl.manual_seed(0)
    model = build(options.model)
    loader = DataLoader(
        Noise(options.model, options.batch * options.steps), options.batch // options.slots
    )
    watch = Stopwatch()
    optimizer = WithoutUpdate if options.without_update else minidl.optim.SGD
    minidl.fit(
        model, loader, nn.CrossEntropyLoss(),
        optimizer(model.parameters(), lr=0.01, momentum=0.9), epochs=1, callbacks=[watch],
        accumulate=options.slots, metrics={},
    )  # fmt: skip
    name = minidl_dist.worker_name() or "alone"
    print("steps", json.dumps({"name": name, **watch.report()}), flush=True)


if __name__ == "__main__":
    main()
