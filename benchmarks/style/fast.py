"""The fast net of half the width on one picture: minidl, PyTorch and ONNX Runtime.

    python -m benchmarks.style.fast [--sizes 512] [--json] [--quick] [--write]

One picture through models/transform_net.py with the same weights, two threads each, in alternation
(benchmarks/timing.py). PyTorch runs in inference mode in both memory formats; ONNX Runtime runs the
file that minidl exports for pictures of any size. --write puts the table into RESULTS.md.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import minidl
from benchmarks.compare import (
    MEASURED,
    against_torch,
    compare,
    options_of,
    rounds_in_words,
    run_comparison,
    write_comparison,
)
from benchmarks.steps import FORMATS, THREADS, use_threads
from minidl.io.onnx.export import to_proto
from models.transform_net import TransformNet

WIDTH = 0.5
SIZES = {"512": (512, 512), "256": (256, 256), "511x340": (511, 340)}
SIDES = ("minidl", *FORMATS, "onnxruntime")
GOAL, GOAL_ONNXRUNTIME = 1.3, 0.8
ANY_SIZE = {"input": {0: "batch", 2: "height", 3: "width"}}


def main(arguments: list[str] | None = None) -> None:
    run_comparison(
        options_of(__doc__, "sizes", SIZES), SIZES,
        lambda side, name: forward_of(side, name)[0], measure, describe, write_rows, arguments,
    )  # fmt: skip


def write() -> None:
    """Measure all sizes and write the section of RESULTS.md."""
    main(["--write"])


def measure(name: str, quick: bool) -> dict[str, Any]:
    """One size, all sides."""
    compared = compare("style.fast", SIDES, name, quick)
    ratios = compared.ratios()
    outputs = [forward_of(side, name)[1]() for side in SIDES]
    return {
        "size": name,
        "ratio": round(min(ratios[side] for side in FORMATS), 3),
        **{f"ratio_{side}": round(ratio, 3) for side, ratio in ratios.items()},
        "ms": round(compared.ms, 1),
        "max_error": float(f"{max(np.abs(y - outputs[0]).max() for y in outputs):.2g}"),
        "peaks": dict(zip(SIDES, compared.peaks)),
        **compared.rounds(),
    }


def our_net() -> TransformNet:
    minidl.manual_seed(0)
    return TransformNet(WIDTH).eval()


def forward_of(side: str, name: str) -> tuple[Callable, Callable]:
    """A function that draws the picture, and one that also returns it as an array."""
    x = np.random.default_rng(0).uniform(0, 255, (1, 3, *SIZES[name])).astype(np.float32)
    if side == "minidl":
        return our_forward(x)
    return onnx_forward(x) if side == "onnxruntime" else torch_forward(x, side)


def our_forward(x: np.ndarray) -> tuple[Callable, Callable]:
    use_threads()
    net, x = our_net(), minidl.tensor(x)

    def run():
        with minidl.no_grad():
            return net(x)

    return run, lambda: run().numpy()


def torch_forward(x: np.ndarray, memory_format: str) -> tuple[Callable, Callable]:
    import torch

    from tests.models import transform_twins
    from tests.models.shared import with_weights_of

    torch.set_num_threads(THREADS)
    twin = transform_twins.TransformNet(WIDTH).eval()
    net, x = with_weights_of(twin, our_net()), torch.from_numpy(x)
    if memory_format == "channels_last":
        net = net.to(memory_format=torch.channels_last)
        x = x.contiguous(memory_format=torch.channels_last)

    def run():
        with torch.inference_mode():
            return net(x)

    return run, lambda: run().numpy()


def onnx_forward(x: np.ndarray) -> tuple[Callable, Callable]:
    import onnxruntime

    model = to_proto(our_net(), (1, 3, 64, 64), dynamic_axes=ANY_SIZE)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = THREADS
    options.log_severity_level = 3  # errors
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )

    def run():
        return session.run(None, {"input": x})

    return run, lambda: run()[0]


def describe(row: dict[str, Any]) -> str:
    return (
        f"{row['size']}: {against_torch(row)}, {row['ratio_onnxruntime']:.2f} x as onnxruntime, "
        f"{row['ms']:.1f} ms, error {row['max_error']:.1g}, {rounds_in_words(row)}"
    )


def write_rows(rows: list[dict[str, Any]], words: list[str]) -> None:
    columns = {
        "picture": "size", "PyTorch": "ratio", "NCHW": "ratio_nchw",
        "channels last": "ratio_channels_last", "ONNX Runtime": "ratio_onnxruntime", "ms": "ms",
        "largest error": "max_error", **MEASURED,
    }  # fmt: skip
    about = (
        f"The network of models/transform_net.py with {WIDTH:g} of the width: the time of PyTorch "
        "in its faster memory format, in each of them, and of ONNX Runtime, divided by minidl's, "
        "medians over rounds; above 1 minidl is faster. The error is the largest difference of a "
        f"pixel, of 255. Goals: {GOAL} against PyTorch, {GOAL_ONNXRUNTIME} against ONNX Runtime, "
        "at 512 pixels."
    )
    title = "Fast neural style: one picture against PyTorch and ONNX Runtime"
    write_comparison(
        "style.fast", title, "sizes", words, about, columns, rows, packages=("onnxruntime",)
    )


if __name__ == "__main__":
    main()
