"""ONNX's own backend test suite, on networks and operators imported by minidl.

    python -m benchmarks.onnx_backend

runs every case that the onnx package ships, prints how many pass, how many are in scope, and why
the others are not (minidl/io/onnx/scope.py), and writes the section "ONNX's backend tests" of
RESULTS.md. Ends with exit code 1 if a case in scope fails.
"""

from __future__ import annotations

import sys
import warnings
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.results import provenance, table, write_section

KINDS = {
    "node": "single operators, and the functions they are defined by",
    "simple": "small graphs",
    "pytorch-converted": "layers exported by PyTorch",
    "pytorch-operator": "expressions exported by PyTorch",
    "light": "whole networks, weights all alike",
}
IN_FLOAT64 = "test_squeezenet"
"""All its weights are equal, and so are its 1,000 outputs, about 1e10: what float32 rounds away of
them is in the thousands, and the softmax behind depends on whether it is the same for each."""


@dataclass
class SuiteCase:
    """A model of the suite: data_sets are pairs of input arrays and expected output arrays."""

    name: str
    model: Any
    data_sets: list[tuple[list, list]]
    rtol: float
    atol: float


@dataclass
class Tally:
    """What came of a set of cases: `failed` holds the name and error, `out` counts reasons."""

    cases: int = 0
    passed: int = 0
    failed: dict[str, str] = field(default_factory=dict)
    out: Counter = field(default_factory=Counter)

    @property
    def in_scope(self) -> int:
        return self.passed + len(self.failed)


def suite(kind: str) -> Iterator[SuiteCase]:
    """The cases of one of KINDS. Those of "node" are made anew, which takes some seconds."""
    import onnx
    from onnx.backend.test.loader import load_model_tests

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the NumPy code that makes the cases
        found = load_model_tests(kind="real" if kind == "light" else kind)
    for case in found:
        if kind == "light":
            path = Path(onnx.__file__).parent.parent / (case.url or "")
            if "data/light" in path.as_posix():
                yield light_case(case, path)
        elif case.data_sets is None:
            folder = Path(case.model_dir)
            sets = [read_set(part) for part in sorted(folder.glob("test_data_set_*"))]
            model = onnx.load(folder / "model.onnx")
            yield SuiteCase(case.name, model, sets, case.rtol, case.atol)
        else:
            yield SuiteCase(case.name, case.model, case.data_sets, case.rtol, case.atol)


def light_case(case: Any, path: Path) -> SuiteCase:
    """A network without weights of its own, the suite's ramp as its picture."""
    import onnx
    from onnx.backend.test.runner import Runner

    model = onnx.load(path)
    stored = {tensor.name for tensor in model.graph.initializer}
    inputs = [Runner.generate_dummy_data(x) for x in model.graph.input if x.name not in stored]
    outputs = [read_array(path.with_name(f"{path.stem}_output_0.pb"))]
    if case.name == IN_FLOAT64:
        model, inputs, outputs = in_float64(model, inputs, outputs)
    return SuiteCase(case.name, model, [(inputs, outputs)], case.rtol, case.atol)


def in_float64(model: Any, inputs: list, outputs: list) -> tuple[Any, list, list]:
    """The same network and data in double precision."""
    from onnx import TensorProto, helper, numpy_helper

    for node in model.graph.node:
        if node.op_type == "ConstantOfShape":
            given = [numpy_helper.to_array(attribute.t) for attribute in node.attribute]
            value = np.array(given[0] if given else [0], np.float64)
            del node.attribute[:]
            node.attribute.append(helper.make_attribute("value", numpy_helper.from_array(value)))
    for tensor in model.graph.initializer:
        if tensor.data_type == TensorProto.FLOAT:
            array = numpy_helper.to_array(tensor).astype(np.float64)
            tensor.CopyFrom(numpy_helper.from_array(array, tensor.name))
    for value in [*model.graph.input, *model.graph.output]:
        if value.type.tensor_type.elem_type == TensorProto.FLOAT:
            value.type.tensor_type.elem_type = TensorProto.DOUBLE
    return model, [x.astype(np.float64) for x in inputs], [y.astype(np.float64) for y in outputs]


def read_set(folder: Path) -> tuple[list, list]:
    """Input and output arrays of a folder with input_0.pb, output_0.pb, ..."""
    parts = []
    for word in ("input", "output"):
        count = len(list(folder.glob(f"{word}_*.pb")))
        parts.append([read_array(folder / f"{word}_{i}.pb") for i in range(count)])
    return parts[0], parts[1]


def read_array(path: Path) -> Any:
    """The array in a file; what is no tensor (a sequence) stays bytes, its case is out of scope."""
    from google.protobuf.message import DecodeError
    from onnx import TensorProto, numpy_helper

    data = path.read_bytes()
    try:
        return numpy_helper.to_array(TensorProto.FromString(data))
    except (DecodeError, ValueError, TypeError):
        return data


def check(case: SuiteCase) -> None:
    """Run a case and compare, as the suite does.

    Raises:
        AssertionError: an output differs.
        MinidlError: the model cannot be run.
    """
    from onnx import TensorProto, numpy_helper
    from onnx.backend.test.runner import Runner

    from minidl.io.onnx.backend import MinidlBackend

    prepared = MinidlBackend.prepare(case.model)
    for inputs, outputs in case.data_sets:
        expected = [numpy_helper.to_array(y) if isinstance(y, TensorProto) else y for y in outputs]
        with np.errstate(all="ignore"):
            actual = prepared.run(inputs)
        Runner.assert_similar_outputs(expected, actual, case.rtol, case.atol)


def run_suite(kind: str) -> Tally:
    """All cases of a kind."""
    from minidl.io.onnx.scope import out_of_scope

    tally = Tally()
    for case in suite(kind):
        tally.cases += 1
        reason = out_of_scope(case.model)
        if reason is not None:
            tally.out[reason] += 1
            continue
        try:
            check(case)
            tally.passed += 1
        except Exception as error:  # whatever it is, the case failed, and the others go on
            tally.failed[case.name] = f"{type(error).__name__}: {error}"
    return tally


def main() -> None:
    tallies = {}
    for kind in KINDS:
        tallies[kind] = run_suite(kind)
        print(f"{kind}: {tallies[kind].passed} of {tallies[kind].in_scope} passed", flush=True)
    body = report(tallies)
    print("\n" + body)
    write_section("onnx_backend", "ONNX's backend tests", body)
    sys.exit(any(tally.failed for tally in tallies.values()))


def report(tallies: dict[str, Tally]) -> str:
    """The tables."""
    rows = [
        [kind, KINDS[kind], tally.cases, tally.passed, tally.in_scope, sum(tally.out.values())]
        for kind, tally in tallies.items()
    ]
    reasons: Counter = sum((tally.out for tally in tallies.values()), Counter())
    failed = [
        f"{name}: {text}" for tally in tallies.values() for name, text in tally.failed.items()
    ]
    return (
        "The cases that the onnx package ships, run through `minidl.io.onnx.backend`.\n\n"
        + table(["set", "what", "cases", "passed", "in scope", "out of scope"], rows)
        + "\n\nFailed in scope: "
        + ("; ".join(failed) or "none")
        + ".\n\nOut of scope:\n\n"
        + table(["reason", "cases"], [[reason, n] for reason, n in reasons.most_common()])
        + f"\n\n`{IN_FLOAT64}` is judged in float64: all its weights are equal, and so are its "
        "1,000 outputs, about 1e10, whose rounding in float32 is in the thousands."
        "\n\nCommand: `python -m benchmarks.onnx_backend`. "
        + provenance("minidl", "numpy", "onnx")
    )  # fmt: skip


if __name__ == "__main__":
    main()
