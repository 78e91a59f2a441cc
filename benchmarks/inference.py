"""Evaluation: minidl, PyTorch in inference mode, and ONNX Runtime, side by side.

    python -m benchmarks.inference [--models lenet5,vgg16 ...] [--json] [--quick] [--write]

One batch forward with the same weights, two threads each, in alternation (benchmarks/timing.py).
minidl's network has its batch norms folded (nn.fuse_batch_norms), as ONNX Runtime does by itself
with the graph that minidl exports; PyTorch runs in both memory formats, and computes its batch
norms. Against PyTorch minidl has the goals of a training step, and 1 / 1.3 against ONNX Runtime;
where it misses one, one run more says where the time goes (benchmarks/breakdown.py). --write puts
the table into RESULTS.md; that of chosen networks into a section of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import minidl
from benchmarks.breakdown import profile_of
from benchmarks.compare import (
    MEASURED,
    SPEED,
    against_torch,
    compare,
    measure_all,
    names_of,
    options_of,
    rounds_in_words,
    serve_worker,
    words_of,
    write_comparison,
)
from benchmarks.machine import copy_bandwidth, product_peak
from benchmarks.step_cases import CASES, Case
from benchmarks.steps import (
    FORMATS,
    THREADS,
    batch,
    operations,
    our_net,
    use_threads,
    with_our_weights,
)
from benchmarks.train_step import GOALS
from minidl import nn
from minidl.io.onnx.export import to_proto

NAMES = [name for name, case in CASES.items() if not case.gan]
SIDES = ("minidl", *FORMATS, "onnxruntime")
GOAL_ONNXRUNTIME = round(1 / 1.3, 2)
HOLDS_UP = {
    "lenet5": (
        "ONNX Runtime walks a graph that it has compiled before; here twelve layers are twelve "
        "calls of Python, and each makes and checks its arrays. Six and sixteen channels are few "
        "for a vector."
    ),
    "lstm": (
        "Each step reads all weights of the state again, 4 MB, and has 32 rows to multiply them "
        "with; NumPy's BLAS is behind ONNX Runtime's in the product over all inputs."
    ),
    "resnet50": (
        "Convolutions of 1x1 are matrix products of NumPy's BLAS. ONNX Runtime adds and rectifies "
        "while it writes a product; here these are passes of their own over all maps."
    ),
    "resnet20-cifar": (
        "Winograd's transforms of 16 to 64 channels, and passes over all maps for additions and "
        "ReLU, which ONNX Runtime does while it writes a convolution."
    ),
}
"""For networks that may miss their goals: what holds them up beside ONNX Runtime."""


def main() -> None:
    parser = options_of(__doc__, "models", NAMES)
    options = parser.parse_args()
    if serve_worker(options, lambda side, name: forward_of(side, CASES[name])[0]):
        return
    names, peak = names_of(parser, options, NAMES), product_peak()
    rows = measure_all(names, lambda name, quick: measure(name, quick, peak), describe, options)
    if options.write:
        write(rows, words_of(options))


def measure(name: str, quick: bool, peak: float) -> dict[str, Any]:
    compared = compare("inference", SIDES, name, quick)
    ratios = compared.ratios()
    outputs = [forward_of(side, CASES[name])[1]() for side in SIDES]
    max_error = max(np.abs(y - outputs[0]).max() for y in outputs) / np.abs(outputs[0]).max()
    ratio = min(ratios[side] for side in FORMATS)
    missed = ratio < GOALS[name] or ratios["onnxruntime"] < GOAL_ONNXRUNTIME
    profile = profile_of(forward_of("minidl", CASES[name])[0]) if missed else None
    return {
        "model": name,
        "ratio": round(ratio, 3),
        "goal": GOALS[name],
        **{f"ratio_{side}": round(ratio, 3) for side, ratio in ratios.items()},
        "ms": round(compared.ms, 2),
        "max_error": float(f"{max_error:.2g}"),
        **compared.rounds(),
        "where": profile
        and profile.sentence(operations(CASES[name], forward_only=True), peak, copy_bandwidth()),
    }


def forward_of(side: str, case: Case) -> tuple[Callable, Callable]:
    """A function that runs the batch, and one that also returns the outputs as an array."""
    x = batch(case)[0]
    if side == "minidl":
        return our_forward(case, x)
    return onnx_forward(case, x) if side == "onnxruntime" else torch_forward(case, x, side)


def our_forward(case: Case, x: np.ndarray) -> tuple[Callable, Callable]:
    use_threads()
    x = minidl.tensor(x)
    net = nn.fuse_batch_norms(our_net(case), x)

    def run():
        with minidl.no_grad():
            return net(x)

    return run, lambda: first(run()).numpy()


def torch_forward(case: Case, x: np.ndarray, memory_format: str) -> tuple[Callable, Callable]:
    import torch

    torch.set_num_threads(THREADS)
    net, x = with_our_weights(case.twin(), our_net(case)).eval(), torch.from_numpy(x)
    if memory_format == "channels_last" and x.ndim == 4:
        net = net.to(memory_format=torch.channels_last)
        x = x.contiguous(memory_format=torch.channels_last)

    def run():
        with torch.inference_mode():
            return net(x)

    return run, lambda: first(run()).numpy()


def onnx_forward(case: Case, x: np.ndarray) -> tuple[Callable, Callable]:
    import onnxruntime

    model = to_proto(our_net(case).eval(), minidl.tensor(x), dynamic_batch=False)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = THREADS
    options.log_severity_level = 3  # errors
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    name = session.get_inputs()[0].name

    def run():
        return session.run(None, {name: x})

    return run, lambda: run()[0]


def first(outputs: Any) -> Any:
    return outputs[0] if isinstance(outputs, tuple) else outputs


def describe(row: dict[str, Any]) -> str:
    return (
        f"{row['model']}: {against_torch(row)}, {row['ratio_onnxruntime']:.2f} x as onnxruntime, "
        f"{row['ms']:.2f} ms, error {row['max_error']:.1g}, {rounds_in_words(row)}"
    )


def write(rows: list[dict[str, Any]], words: list[str]) -> None:
    columns = {
        "network": "model", **SPEED, "ONNX Runtime": "ratio_onnxruntime", "ms": "ms",
        "largest error": "max_error", **MEASURED,
    }  # fmt: skip
    about = (
        "The time of PyTorch in its faster memory format, in each of them, and of ONNX Runtime, "
        "divided by minidl's, medians over rounds; above 1 minidl is faster. minidl and ONNX "
        "Runtime have folded the batch norms, PyTorch computes them. The error is the largest "
        "difference of the other outputs from minidl's, as a part of the largest output. The goal "
        f"against ONNX Runtime is {GOAL_ONNXRUNTIME} for all."
    )
    notes = "\n\n".join(
        f"**{row['model']}** misses a goal. {row['where']} "
        f"{HOLDS_UP.get(row['model'], '')}".rstrip()
        for row in rows
        if row["where"]
    )
    title = "Evaluation against PyTorch and ONNX Runtime"
    write_comparison(
        "inference", title, "models", words, about, columns, rows, notes, ("onnxruntime",)
    )


if __name__ == "__main__":
    main()
