"""ONNX's own backend test suite."""

import onnx
import pytest

from benchmarks.onnx_backend import KINDS, check, report, run_suite, suite
from minidl.io.onnx.backend import MinidlBackend
from minidl.io.onnx.scope import out_of_scope


def stored_cases():
    """The cases that lie in the package as files; those of "node" are computed: see below."""
    return [c for kind in ("simple", "pytorch-converted", "pytorch-operator") for c in suite(kind)]


STORED = stored_cases()


@pytest.mark.parametrize(
    "case", [c for c in STORED if out_of_scope(c.model) is None], ids=lambda case: case.name
)
def test_stored_case(case):
    check(case)


def test_few_of_them_are_out_of_scope():
    reasons = [reason for case in STORED if (reason := out_of_scope(case.model))]
    assert len(STORED) - len(reasons) >= 120
    assert all("sequences" in r or "text" in r or "training" in r for r in reasons)


@pytest.mark.slow
@pytest.mark.parametrize("kind, at_least", [("node", 1300), ("light", 9)])
def test_computed_cases(kind, at_least):
    tally = run_suite(kind)
    assert tally.failed == {}
    assert tally.passed >= at_least
    assert f"| {tally.cases} |" in report({kind: tally}).replace("  ", " ")


def test_kinds_are_those_of_the_package():
    assert list(KINDS) == ["node", "simple", "pytorch-converted", "pytorch-operator", "light"]


def test_backend_refuses_what_is_out_of_scope():
    from onnx.backend.test.runner import BackendIsNotSupposedToImplementIt

    node = onnx.helper.make_node("Erf", ["x"], ["y"])
    values = [onnx.helper.make_tensor_value_info(n, 1, [2]) for n in "xy"]
    model = onnx.helper.make_model(onnx.helper.make_graph([node], "g", values[:1], values[1:]))
    assert not MinidlBackend.is_compatible(model)
    assert MinidlBackend.supports_device("CPU") and not MinidlBackend.supports_device("CUDA")
    with pytest.raises(BackendIsNotSupposedToImplementIt, match="erf"):
        MinidlBackend.prepare(model)
