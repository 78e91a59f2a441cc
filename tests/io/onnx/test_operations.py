"""Every recorded operation, exported: judged by ONNX Runtime, and loaded back."""

import inspect
import pkgutil
from importlib import import_module

import numpy as np
import pytest

import minidl
from minidl import Function, Tensor
from minidl.errors import ArgumentError, MinidlError
from minidl.io.onnx.export import serialized, to_proto
from minidl.io.onnx.exporters import EXPORTERS, NOT_EXPORTED
from minidl.io.onnx.graph import OnnxModule
from minidl.io.onnx.load import parse, read_graph
from minidl.ops.reductions import Reduction
from tests.io.onnx.runtime import Call, assert_equal, evaluate, run_file
from tests.op_cases import CASES

NOT_RECORDED = {"copy_", "likeliest", "word_step"}
"""Operations that change a tensor in place, or are a choice."""

WITHOUT_GRADIENT = {
    "all", "any", "argmax", "argmin", "bitwise_and", "bitwise_not", "bitwise_or", "bitwise_xor",
    "ceil-ints", "eq", "floor-ints", "ge", "gt", "isfinite", "isinf", "isnan", "le", "logical_and",
    "logical_not", "logical_or", "logical_xor", "lt", "ne", "remainder-integers", "round-ints",
    "to-integers", "to-bools",
}  # fmt: skip
"""Operations, and cases, whose results are integers or bools: they leave no graph."""

FOR_TRAINING = {
    "binary_cross_entropy_with_logits", "cross_entropy", "dropout", "hinge_embedding_loss",
    "l1_loss", "match_patches", "mse_loss", "multi_margin_loss", "nll_loss", "shift",
}  # fmt: skip
"""What NOT_EXPORTED lists, by operation."""

CONDITION_OF_INPUT = {"getitem-mask-elements"}
"""Cases whose condition is computed from the input: a constant that differs."""

WITHOUT_DRAWS = {"dropout-p-zero", "dropout-evaluation", "dropout-channels-evaluation"}
SEEDED = {"dropout-channels", "dropout-channels-p-one"}
"""Cases of dropout that draw nothing, or that fix the random numbers themselves."""

RUNTIME_DIFFERS = {
    "interpolate-bilinear-batch-zero": "ONNX Runtime 1.24 refuses a product without elements",
    "linear-no-outputs": "ONNX Runtime 1.24 refuses a product without elements",
    "lstm-batch-zero": "ONNX Runtime aborts on an LSTM without sequences",
    "lstm-length-zero": "ONNX Runtime gives 0, not the initial state, for an empty sequence",
    "max_pool2d-non-finite": "ONNX Runtime compares NaN as C does, and it loses",
}

GRADIENT_DIFFERS = {
    "embedding-padding": "ONNX has no padding_idx",
    "embedding-padding-from-the-end": "ONNX has no padding_idx",
    "var-more-correction-than-values": "0 / 0 in both, NaN here and inf there",
}


def is_exported(case):
    if case.id in WITHOUT_DRAWS:
        return True
    differentiable = not WITHOUT_GRADIENT & {case.op, case.id}
    exported = not (NOT_RECORDED | FOR_TRAINING | CONDITION_OF_INPUT) & {case.op, case.id}
    return differentiable and exported


EXPORTED = [case for case in CASES if is_exported(case)]


def prepare(case):
    """The case as a module of its floating-point inputs; integers are part of it.

    Only an embedding looks at integers that are an input: everything else takes them as constants.
    """
    arrays = [a.astype(np.float32) if a.dtype.kind == "f" else a for a in case.inputs]
    free = [a.dtype.kind == "f" or case.op == "embedding" for a in arrays]

    def call(*given):
        rest = iter(given)
        return case.call(*(next(rest) if f else Tensor(a) for f, a in zip(free, arrays)))

    return Call(call), [a for f, a in zip(free, arrays) if f]


def export(case, opset):
    minidl.manual_seed(0)
    model, arrays = prepare(case)
    proto = to_proto(model, tuple(map(Tensor, arrays)), opset=opset, dynamic_batch=False)
    return model, arrays, serialized(proto)


def forward_backward(model, arrays):
    """Outputs, and the gradient of each floating-point input for random upstream gradients."""
    inputs = [Tensor(a.copy(), requires_grad=a.dtype.kind == "f") for a in arrays]
    y = model(*inputs)
    outputs = y if isinstance(y, tuple) else (y,)
    for i, out in enumerate(outputs):
        gradient = np.random.default_rng(i).standard_normal(out.shape).astype(out.dtype)
        out.backward(gradient, retain_graph=True)
    gradients = [x.grad.numpy() if x.grad is not None else np.zeros_like(x.data) for x in inputs]
    return [out.detach().numpy() for out in outputs], gradients


@pytest.mark.parametrize("opset", [17, 23])
@pytest.mark.parametrize("case", EXPORTED, ids=lambda case: case.id)
def test_runtime_computes_the_same(case, opset):
    if case.id in RUNTIME_DIFFERS:
        pytest.skip(RUNTIME_DIFFERS[case.id])
    model, arrays, data = export(case, opset)
    expected, _ = forward_backward(model, arrays)
    assert_equal(run_file(data, arrays), expected, max(case.rtol, 1e-5))


@pytest.mark.parametrize("case", EXPORTED, ids=lambda case: case.id)
def test_loaded_again_it_computes_and_differentiates_the_same(case):
    model, arrays, data = export(case, 18)
    expected, expected_gradients = forward_backward(model, arrays)
    loaded = OnnxModule(read_graph(parse(data)))
    outputs, gradients = forward_backward(loaded, arrays)
    assert_equal(outputs, expected)
    if case.smooth and case.gradient and case.id not in GRADIENT_DIFFERS:
        assert_equal(gradients, expected_gradients, 2e-5)


@pytest.mark.parametrize("opset", [18, 23])
@pytest.mark.parametrize(
    "case",
    [case for case in CASES if WITHOUT_GRADIENT & {case.op, case.id}],
    ids=lambda case: case.id,
)
def test_integers_and_bools_are_computed_from_the_input(case, opset):
    arrays = [a.astype(np.float32) if a.dtype.kind == "f" else a for a in case.inputs]
    model, tensors = Call(case.call), tuple(map(Tensor, arrays))
    data = serialized(to_proto(model, tensors, opset=opset, dynamic_batch=False))
    expected = evaluate(model, arrays)
    assert_equal(run_file(data, arrays), expected, 0)
    assert_equal(evaluate(OnnxModule(read_graph(parse(data))), arrays), expected, 0)


def cases(ids):
    chosen = [case for case in CASES if case.id in ids]
    return pytest.mark.parametrize("case", chosen, ids=lambda case: case.id)


@cases(CONDITION_OF_INPUT)
def test_a_condition_computed_from_the_input_is_refused(case):
    """It would be a constant in the file, right for one input only."""
    model, arrays = prepare(case)
    with pytest.raises(ArgumentError) as caught:
        to_proto(model, tuple(map(Tensor, arrays)), dynamic_batch=False)
    assert "a constant of" in caught.value.rule and "depends on the input" in caught.value.rule


@cases({case.id for case in CASES if case.op in FOR_TRAINING} - WITHOUT_DRAWS - SEEDED)
def test_what_is_for_training_is_refused(case):
    model, arrays = prepare(case)
    with pytest.raises(ArgumentError) as caught:
        to_proto(model, tuple(map(Tensor, arrays)), dynamic_batch=False)
    message = str(caught.value)
    assert "has no ONNX equivalent" in message and "for training" in message


@cases({case.id for case in CASES if case.op in NOT_RECORDED})
def test_a_result_that_is_not_recorded_is_refused(case):
    model, arrays = prepare(case)
    if not arrays:
        arrays = case.inputs
        model = Call(case.call)
    with pytest.raises(MinidlError):
        to_proto(model, tuple(map(Tensor, arrays)), dynamic_batch=False)


def function_classes():
    """Every Function of minidl/ops that can be recorded."""
    found = set()
    for module in pkgutil.iter_modules(minidl.ops.__path__, "minidl.ops."):
        for _, kind in inspect.getmembers(import_module(module.name), inspect.isclass):
            if issubclass(kind, Function) and kind.__module__.startswith("minidl.ops"):
                found.add(kind)
    return found - {Reduction}  # what reductions share


@pytest.mark.parametrize(
    "kind",
    sorted(function_classes(), key=lambda kind: kind.__name__),
    ids=lambda kind: kind.__name__,
)
def test_every_operation_has_an_exporter_or_a_reason(kind):
    assert (kind in EXPORTERS) != (kind in NOT_EXPORTED), (
        f"{kind.__name__} stands in one of the tables of minidl/io/onnx/exporters, or with the"
        " reason in NOT_EXPORTED"
    )


def test_every_exporter_is_of_an_operation():
    assert len(function_classes()) > 60
    assert {*EXPORTERS, *NOT_EXPORTED} <= function_classes()
