"""Both sides of the evaluation benchmark compute the same."""

import pytest

pytestmark = pytest.mark.torch
pytest.importorskip("torch", reason="PyTorch is not installed")

from benchmarks import style_evaluation  # noqa: E402


@pytest.mark.parametrize("memory_format", style_evaluation.FORMATS)
@pytest.mark.parametrize("name", ["squeezenet-1-thread", "vgg16-1-thread"])
def test_losses_and_gradients_equal_pytorch(name, memory_format):
    case = style_evaluation.CASES[name]
    loss, gradient = style_evaluation.our_evaluation(case, 64)[1]()
    theirs, their_gradient = style_evaluation.torch_evaluation(case, memory_format, 64)[1]()
    assert loss == pytest.approx(theirs, rel=1e-4)
    assert style_evaluation.relative_error(their_gradient, gradient) < 1e-4
