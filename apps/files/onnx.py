"""`minidl onnx`: networks as files for other runtimes, and what is in such a file."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Annotated, Any

import typer

from apps.shared.command import RUN_HELP, application, command
from apps.shared.console import Console

app = application()
onnx = application("onnx", "ONNX files: write one, look into one.")
app.add_typer(onnx)

TOLERANCE = 1e-4  # of the largest output, if that is above 1
PICTURES = 3  # that the file is tried with; the export itself saw batches of 2 and 5
SCALES = 0.1, 1.0, 30.0  # of their values
FAST, OTHER = (1, 3, 48, 48), (2, 3, 43, 38)  # pictures, of networks that take any size


@command(onnx, "export")
def export(
    run: Annotated[
        str,
        typer.Argument(
            metavar="RUN|MODEL",
            help=f"{RUN_HELP} Or a network's name, or a model of `minidl style fast`.",
        ),
    ],
    output: Annotated[str, typer.Argument(metavar="FILE", help="The .onnx file to write.")],
    console: Console,
    size: Annotated[
        int | None,
        typer.Option(help="Pixels per side; by default what the network was trained with."),
    ] = None,
    opset: Annotated[int, typer.Option(help="ONNX operator set, 17 to 23.")] = 18,
    dynamic_batch: Annotated[
        bool, typer.Option(help="Let the file take any number of pictures, not just one.")
    ] = True,
) -> None:
    """Write a trained network, or a fresh one by its name, as an ONNX file.

    The file takes pictures that went through the run's preprocessing, and gives
    a score for each class; both are described in its metadata. Where ONNX
    Runtime is installed, the file is run there and compared with the network.

    A model of minidl style fast becomes a file for pictures of any size: red,
    green and blue from 0 to 255 go in and come out, to be clipped to that range.
    """
    figures = write_onnx(run, output, size, opset, dynamic_batch)
    shape = "x".join(str(n) for n in figures["input_shape"])
    console.line(f"{output}: {figures['nodes']} nodes, operator set {opset}, input {shape}")
    if figures["difference"] is None:
        console.line("ONNX Runtime is not installed: the file was not run")
    else:
        console.line(f"in ONNX Runtime scores differ by up to {figures['difference']:.1e}")
    console.json(figures)


@command(onnx, "info")
def info(
    file: Annotated[str, typer.Argument(metavar="FILE", help="An .onnx file.")], console: Console
) -> None:
    """Show what an ONNX file takes and gives, and what it consists of."""
    figures = describe(file)
    console.line(
        f"written by {figures['producer'] or 'an unnamed program'}, set {figures['opset']}"
    )
    for word in ("inputs", "outputs"):
        for value in figures[word]:
            shape = ", ".join("?" if n is None else str(n) for n in value["shape"] or ["..."])
            console.line(f"{word[:-1]:<7} {value['name']}: {value['dtype']} ({shape})")
    console.line(f"{figures['parameters']:,} parameters, {figures['nodes']} nodes:")
    for operator, count in figures["operators"].items():
        console.line(f"  {count:>5}  {operator}")
    for key, value in figures["metadata"].items():
        console.line(f"{key}: {value if len(value) <= 70 else value[:67] + '...'}")
    console.json(figures)


def write_onnx(
    run: str, output: str, size: int | None, opset: int, dynamic_batch: bool
) -> dict[str, Any]:
    """Compare the file with the network before it replaces an older one; say what was done."""
    from minidl.io.atomic import as_path, write_atomically
    from minidl.io.onnx.export import serialized, to_proto

    path = as_path("export", "output", output)
    fast = find_fast(run)
    model, shape, metadata = find_network(run, size) if fast is None else fast
    open_sizes = None
    if fast is not None:
        check_no_size(size)
        open_sizes = {"input": {2: "height", 3: "width"} | ({0: "batch"} if dynamic_batch else {})}
    proto = to_proto(
        model, shape, opset=opset, dynamic_batch=dynamic_batch, metadata=metadata,
        dynamic_axes=open_sizes,
    )  # fmt: skip
    data = serialized(proto)
    if fast is None:
        difference = compare(model, data, (PICTURES if dynamic_batch else 1, *shape[1:]))
    else:
        difference = compare(model, data, (OTHER[0] if dynamic_batch else 1, *OTHER[1:]), 127.5)
        shape = (1, 3, "height", "width")
    write_atomically(path, data, "export")
    return {
        "file": output,
        "input_shape": ["batch" if dynamic_batch else 1, *shape[1:]],
        "opset": opset,
        "nodes": len(proto.graph.node),
        "difference": difference,
        "metadata": metadata,
    }


def check_no_size(size: int | None) -> None:
    """A model of `minidl style fast` has no size of its own.

    Raises:
        OptionError
    """
    from apps.shared.options import OptionError

    if size is not None:
        raise OptionError(
            "the file of a fast style model takes pictures of any size", {"--size": size},
            "leave it out",
        )  # fmt: skip


def find_fast(run: str) -> tuple[Any, tuple[int, ...], dict[str, Any]] | None:
    """The same as find_network of a model of `minidl style fast`; None where `run` is none."""
    from apps.shared.trained_transform import KINDS, fast_model, load_fast, trained_names
    from minidl.errors import CheckpointError
    from minidl.io import load_checkpoint

    if Path(run).is_file():
        try:
            checkpoint = load_checkpoint(run)
        except CheckpointError:
            return None  # whoever looks for a run says what is wrong
        kind = checkpoint.meta.get("kind")
        if kind not in KINDS:
            return None
        found = fast_model(checkpoint, run, kind)
    elif run in trained_names():
        found = load_fast(run)
    else:
        return None
    about = {key: found.meta[key] for key in ("kind", "arguments") if key in found.meta}
    return found.net, FAST, about | {"pixels": "red, green, blue from 0 to 255"}


def find_network(run: str, size: int | None) -> tuple[Any, tuple[int, ...], dict[str, Any]]:
    """The network of a run, or a fresh one; the shape of its input; what the file says of it."""
    import models
    from apps.shared.trained import load_trained
    from minidl.errors import CheckpointError, nearest
    from minidl.nn.checks import check_sizes

    if size is not None:
        check_sizes("export", size=size)
    if run in models.names() and not Path(run).exists():
        side = size or models.entry(run).size
        sized = {"size": side} if "size" in models.registry.arguments_of(run) else {}
        model = models.build(run, **sized)
        return model, (1, model.in_channels, side, side), {"model": run, "model_arguments": sized}
    try:
        trained = load_trained(run)
    except CheckpointError as error:
        close = nearest(run, models.names())
        if not Path(run).exists() and close.startswith("did you mean"):
            error.hint = close
        raise
    side = size or (trained.meta.get("settings") or {}).get("size")
    side = side or models.entry(trained.name).size
    keys = ("model", "model_arguments", "classes", "preprocessing")
    metadata = {key: trained.meta[key] for key in keys if key in trained.meta}
    return trained.model, (1, trained.model.in_channels, side, side), metadata


def compare(model: Any, data: bytes, shape: tuple[int, ...], bright: float = 0.0) -> float | None:
    """The largest difference, in shares of the largest output; None without ONNX Runtime.

    The pictures are none that the export has seen, and brighter and darker ones are among them.

    Args:
        model, data: the network, and its file.
        shape: of the pictures.
        bright: the mean of a pixel.

    Raises:
        CheckpointError: they differ by more than rounding.
    """
    try:
        import onnxruntime
    except ImportError:
        return None
    import numpy as np

    import minidl
    from minidl.errors import CheckpointError

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    largest = 0.0
    for seed, scale in enumerate(SCALES, 1):
        x = np.random.default_rng(seed).standard_normal(shape)
        x = (bright + max(scale, bright / 10) * x).astype(np.float32)
        found = session.run(None, {session.get_inputs()[0].name: x})[0]
        with minidl.no_grad():
            wanted = model.eval()(minidl.tensor(x)).numpy()
        difference = float(np.abs(found - wanted).max()) / max(1.0, float(np.abs(wanted).max()))
        if not difference <= TOLERANCE:
            raise CheckpointError(
                "export", "ONNX Runtime gives other scores for the file than the network",
                {"difference": difference, "pictures": x}, "nothing was written",
            )  # fmt: skip
        largest = max(largest, difference)
    return largest


def describe(file: str) -> dict[str, Any]:
    """What `minidl onnx info` shows."""
    from minidl.io.onnx import load

    module = load(file)
    graph = module.graph
    counts = Counter(node.operator for node in graph.nodes)
    return {
        "file": file,
        "producer": graph.producer,
        "opset": graph.opset,
        "inputs": [vars(value) for value in graph.inputs],
        "outputs": [vars(value) for value in graph.outputs],
        "parameters": sum(parameter.numel() for parameter in module.parameters()),
        "nodes": len(graph.nodes),
        "operators": dict(counts.most_common()),
        "metadata": graph.metadata,
    }
