"""Both sides of the evaluation benchmark compute the same."""

import pytest

import minidl

pytestmark = pytest.mark.torch
pytest.importorskip("torch", reason="PyTorch is not installed")

from benchmarks.style import cnnmrf, evaluation  # noqa: E402

networks = pytest.mark.parametrize("name", ["squeezenet-1-thread", "vgg16-1-thread"])


@networks
@pytest.mark.parametrize("memory_format", evaluation.FORMATS)
def test_losses_and_gradients_equal_pytorch(name, memory_format):
    """By plain sums: a pixel whose largest neighbour is another one by a hair changes much."""
    case, threads = evaluation.CASES[name], minidl.get_num_threads()
    try:
        with minidl.use_exact_conv(True):
            loss, gradient = evaluation.our_evaluation(case, 64)[1]()
    finally:
        minidl.set_num_threads(threads)
    theirs, their_gradient = evaluation.torch_evaluation(case, memory_format, 64)[1]()
    assert loss == pytest.approx(theirs, rel=1e-4)
    assert abs(their_gradient - gradient).max() < 1e-4 * abs(gradient).max()


@networks
def test_fast_convolutions_change_little(name):
    case, threads = evaluation.CASES[name], minidl.get_num_threads()
    run = evaluation.our_evaluation(case, 64)[1]
    try:
        loss, gradient = run()
        with minidl.use_exact_conv(True):
            exact, exact_gradient = run()
    finally:
        minidl.set_num_threads(threads)
    assert loss == pytest.approx(exact, rel=1e-4)
    assert evaluation.relative_error(gradient, exact_gradient) < 1e-2


def test_both_sides_match_the_same_patches(monkeypatch):
    monkeypatch.setitem(cnnmrf.CASES, "small", (16, 20, 1))
    monkeypatch.setitem(cnnmrf.CASES, "small-stride", (16, 11, 2))
    threads = minidl.get_num_threads()
    for name in ("small", "small-stride"):
        ours = cnnmrf.our_matching(name)[1]()
        theirs = cnnmrf.torch_matching(name, "nchw")[1]()
        assert (ours == theirs).mean() > 0.99
    minidl.set_num_threads(threads)
