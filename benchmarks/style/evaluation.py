"""One evaluation of a style loss, with the gradient of the picture: minidl and PyTorch.

    python -m benchmarks.style.evaluation [--networks squeezenet vgg16 ...] [--json] [--quick]
                                          [--write]

That is what every iteration of `minidl style gatys` computes: features of a picture of 256 x 256,
Gram matrices and their distances, a content loss, and back to the picture. Both sides have the same
weights (drawn, as the time does not depend on them) and run in alternation (benchmarks/timing.py),
PyTorch in both memory formats. The PyTorch side (Twin) is written from the papers, in plain
functions. --write puts the table into RESULTS.md.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

import minidl
import models
from apps.style import losses
from apps.style.loss_network import LossNetwork
from benchmarks.breakdown import profile_of
from benchmarks.compare import (
    MEASURED,
    SPEED,
    against_torch,
    compare,
    options_of,
    rounds_in_words,
    run_comparison,
    write_comparison,
)

SIZE = 256
FORMATS = ("nchw", "channels_last")
SIDES = ("minidl", *FORMATS)
CONTENT_WEIGHT = 0.05


@dataclass(frozen=True)
class Case:
    """A network, how far it is computed, and with how many threads; the goal is times PyTorch."""

    network: str
    content: str
    style: tuple[str, ...]
    threads: int
    goal: float


def squeezenet(threads: int) -> Case:
    style = ("relu1", "fire2", "fire3", "fire4", "fire5")
    return Case("squeezenet", "fire3", style, threads, 1.5)


def vgg16(threads: int) -> Case:
    """The layers of Johnson et al. 2016."""
    style = ("relu1_2", "relu2_2", "relu3_3", "relu4_3")
    return Case("vgg16", "relu3_3", style, threads, 2.0)


CASES = {
    "squeezenet": squeezenet(2),
    "vgg16": vgg16(2),
    "squeezenet-1-thread": squeezenet(1),
    "vgg16-1-thread": vgg16(1),
}


def main(arguments: list[str] | None = None) -> None:
    run_comparison(
        options_of(__doc__, "networks", CASES), CASES,
        lambda side, name: evaluation_of(side, CASES[name])[0], measure, describe, write_rows,
        arguments,
    )  # fmt: skip


def write() -> None:
    """Measure all cases and write the section."""
    main(["--write"])


def measure(name: str, quick: bool) -> dict[str, Any]:
    compared = compare("style.evaluation", SIDES, name, quick)
    ratios, case = compared.ratios(), CASES[name]
    ours, *others = (evaluation_of(side, case)[1]() for side in SIDES)
    return {
        "network": name,
        "ratio": round(min(ratios.values()), 3),
        "goal": case.goal,
        **{f"ratio_{side}": round(ratio, 3) for side, ratio in ratios.items()},
        "ms": round(compared.ms, 2),
        "loss_error": one_digit(max(abs(loss - ours[0]) / ours[0] for loss, _ in others)),
        "gradient_error": one_digit(max(relative_error(y, ours[1]) for _, y in others)),
        **compared.rounds(),
    }


def one_digit(number: float) -> float:
    return float(f"{number:.1g}")


def relative_error(a: np.ndarray, b: np.ndarray) -> float:
    """The root mean square of the differences, as a part of that of the numbers. (The largest one
    says little: where two pixels of a pooling window are equal but for rounding, the gradient goes
    to one or to the other, also in two runs of PyTorch with other memory formats.)"""
    return float(np.sqrt(np.square(a - b).mean() / np.square(b).mean()))


# --- both sides ---------------------------------------------------------------------------------


def pictures(size: int = SIZE) -> list[np.ndarray]:
    """The picture, the content and the style, (1, 3, H, W) from 0 to 255: smooth noise."""
    rng = np.random.default_rng(0)
    coarse = rng.uniform(0, 255, (3, 3, size // 8, size // 8)).astype(np.float32)
    fine = rng.normal(0, 20, (3, 3, size, size)).astype(np.float32)
    whole = coarse.repeat(8, axis=2).repeat(8, axis=3) + fine
    return [picture[None] for picture in np.clip(whole, 0, 255)]


def evaluation_of(side: str, case: Case) -> tuple[Callable, Callable]:
    """A function that evaluates, and one that returns the loss and the picture's gradient."""
    return our_evaluation(case) if side == "minidl" else torch_evaluation(case, side)


@cache
def drawn(name: str) -> tuple[LossNetwork, dict[str, np.ndarray]]:
    """A loss network, and the weights that it was given: drawn, and by way of a file."""
    minidl.manual_seed(0)
    net = models.build(name, **({} if name == "squeezenet" else {"head": "average"}))
    weights = {key: value.numpy() for key, value in net.state_dict().items()}
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "drawn.npz"
        np.savez(file, **weights)
        return LossNetwork(name, str(file)), weights


def our_evaluation(case: Case, size: int = SIZE) -> tuple[Callable, Callable]:
    minidl.set_num_threads(case.threads)
    (net, _), layers = drawn(case.network), {*case.style, case.content}
    x, content, style = (minidl.tensor(picture) for picture in pictures(size))
    with minidl.no_grad():
        of_content = net.features(content, [case.content])[case.content]
        grams = {name: losses.gram(f) for name, f in net.features(style, case.style).items()}
    x.requires_grad = True

    def run():
        x.grad = None
        features = net.features(x, layers)
        loss = losses.content_loss(features[case.content], of_content) * CONTENT_WEIGHT
        for name, target in grams.items():
            loss = loss + losses.style_loss(losses.gram(features[name]), target)
        loss.backward()
        return loss

    return run, lambda: (run().item(), x.grad.numpy())


class Twin:
    """The same network in PyTorch, from the papers' tables, with the same weights."""

    def __init__(self, name: str, weights: dict[str, np.ndarray]):
        import torch

        self.torch, self.name = torch, name
        self.weights = {
            key.removeprefix("features."): torch.from_numpy(value.copy())
            for key, value in weights.items()
        }
        self.mean = torch.tensor([0.485, 0.456, 0.406]).reshape(1, 3, 1, 1) * 255
        self.deviation = torch.tensor([0.229, 0.224, 0.225]).reshape(1, 3, 1, 1) * 255

    def conv(self, name: str, x: Any, **options: int) -> Any:
        weight, bias = self.weights[f"{name}.weight"], self.weights[f"{name}.bias"]
        return self.torch.relu_(self.torch.nn.functional.conv2d(x, weight, bias, **options))

    def features(self, x: Any) -> dict[str, Any]:
        x = (x - self.mean) / self.deviation
        return self.squeezenet(x) if self.name == "squeezenet" else self.vgg16(x)

    def squeezenet(self, x: Any) -> dict[str, Any]:
        max_pool2d, found = self.torch.nn.functional.max_pool2d, {}
        x = found["relu1"] = self.conv("conv1", x, stride=2)
        for name in ("fire2", "fire3", "fire4", "fire5"):
            if name in ("fire2", "fire4"):
                x = max_pool2d(x, 3, 2, ceil_mode=True)
            squeezed = self.conv(f"{name}.squeeze1x1", x)
            parts = [
                self.conv(f"{name}.expand1x1", squeezed),
                self.conv(f"{name}.expand3x3", squeezed, padding=1),
            ]
            x = found[name] = self.torch.cat(parts, dim=1)
        return found

    def vgg16(self, x: Any) -> dict[str, Any]:
        found = {}
        for block, count in enumerate((2, 2, 3, 3), 1):
            if block > 1:
                x = self.torch.nn.functional.max_pool2d(x, 2)
            for i in range(1, count + 1):
                x = found[f"relu{block}_{i}"] = self.conv(f"conv{block}_{i}", x, padding=1)
        return found


def torch_evaluation(case: Case, memory_format: str, size: int = SIZE) -> tuple[Callable, Callable]:
    import torch

    torch.set_num_threads(case.threads)
    twin = Twin(case.network, drawn(case.network)[1])
    x, content, style = (torch.from_numpy(picture) for picture in pictures(size))
    if memory_format == "channels_last":
        x, content, style = (
            picture.contiguous(memory_format=torch.channels_last) for picture in (x, content, style)
        )
        twin.weights = {
            name: w.contiguous(memory_format=torch.channels_last) if w.ndim == 4 else w
            for name, w in twin.weights.items()
        }

    def gram(features):
        rows = features.flatten(2)[0]
        return rows @ rows.T / rows.shape[1]

    with torch.no_grad():
        of_content = twin.features(content)[case.content]
        found = twin.features(style)
        grams = {name: gram(found[name]) for name in case.style}
    x.requires_grad_()

    def run():
        x.grad = None
        features = twin.features(x)
        distance = (features[case.content] - of_content).square().sum()
        loss = distance / of_content.square().sum() * CONTENT_WEIGHT
        for name, target in grams.items():
            loss = loss + (gram(features[name]) - target).square().sum() / target.square().sum()
        loss.backward()
        return loss

    return run, lambda: (run().item(), x.grad.numpy().copy())


# --- what is written ----------------------------------------------------------------------------


def describe(row: dict[str, Any]) -> str:
    return (
        f"{row['network']}: {against_torch(row)}, {row['ms']:.1f} ms, error of the loss "
        f"{row['loss_error']:.1g}, of the gradient {row['gradient_error']:.1g}, "
        f"{rounds_in_words(row)}"
    )


def write_rows(rows: list[dict[str, Any]], words: list[str]) -> None:
    columns = {
        "network": "network", **SPEED, "ms": "ms", "error of the loss": "loss_error",
        "of the gradient": "gradient_error", **MEASURED,
    }  # fmt: skip
    about = (
        f"One evaluation of the losses of `minidl style gatys` and the gradient of a picture of "
        f"{SIZE} x {SIZE}: SqueezeNet 1.1 to fire5, VGG-16 to conv4_3. The time of PyTorch in its "
        "faster memory format, and in each of them, divided by minidl's, medians over rounds; "
        "above 1 minidl is faster. Errors are PyTorch's differences from minidl, as a part of the "
        "loss, and in the root mean square of the gradient."
    )
    where = "\n\n".join(f"**{row['network']}**: {where_of(row['network'])}" for row in rows[:2])
    title = "Style: a loss and its gradient against PyTorch"
    write_comparison("style.evaluation", title, "networks", words, about, columns, rows, where)


def where_of(name: str) -> str:
    """The shares of the operations in minidl's time."""
    profile = profile_of(evaluation_of("minidl", CASES[name])[0])
    shares = {part: 100 * t / profile.seconds for part, t in profile.parts.items()}
    largest = sorted(shares.items(), key=lambda item: -item[1])[:8]
    between = 100 - sum(shares.values())
    return (
        "of minidl's time "
        + ", ".join(f"{part} {share:.0f} %" for part, share in largest)
        + f"; between the operations {between:.0f} %."
    )


if __name__ == "__main__":
    main()
