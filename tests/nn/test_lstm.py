"""The LSTM layer against PyTorch's, with the same weights under the same names."""

import numpy as np
import pytest

import minidl
from minidl import nn
from minidl.errors import ArgumentError, DtypeError, ShapeError
from tests.op_cases.case import normal

T, N, I, H = 5, 3, 4, 2
SETTINGS = [
    {},
    {"bias": False},
    {"num_layers": 2},
    {"bidirectional": True},
    {"num_layers": 2, "bidirectional": True, "batch_first": True},
]
settings = pytest.mark.parametrize(
    "options", SETTINGS, ids=lambda options: "-".join(options) or "plain"
)


def twins(torch, options):
    """A layer of each library with the same float64 weights."""
    layer = nn.LSTM(I, H, **options).to("float64")
    twin = torch.nn.LSTM(I, H, **options).double()
    layer.load_state_dict({name: value.numpy() for name, value in twin.state_dict().items()})
    return layer, twin


def inputs(options, torch=None):
    """x, h0 and c0 as leaves that require a gradient."""
    cells = options.get("num_layers", 1) * (2 if options.get("bidirectional") else 1)
    x = normal(T, N, I)
    arrays = [x.swapaxes(0, 1) if options.get("batch_first") else x]
    arrays += [normal(cells, N, H, seed=1), normal(cells, N, H, seed=2)]
    if torch is None:
        return [minidl.tensor(array, requires_grad=True) for array in arrays]
    return [torch.tensor(array, requires_grad=True) for array in arrays]


def assert_close(actual, expected):
    np.testing.assert_allclose(actual.numpy(), expected.detach().numpy(), atol=1e-12)


@pytest.mark.torch
@settings
def test_state_dict_is_pytorchs(options):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    expected = torch.nn.LSTM(I, H, **options).state_dict()
    actual = nn.LSTM(I, H, **options).state_dict()
    assert [(name, value.shape) for name, value in actual.items()] == [
        (name, tuple(value.shape)) for name, value in expected.items()
    ]


@pytest.mark.torch
@pytest.mark.parametrize("lengths", [None, [3, 5, 1], [2, 4, 4]], ids=["full", "some", "below-T"])
@settings
def test_equals_pytorch(options, lengths):
    """Outputs and all gradients; with lengths, PyTorch packs."""
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    layer, twin = twins(torch, options)
    x, h0, c0 = inputs(options)
    y, (h, c) = layer(x, (h0, c0), lengths)

    tx, th0, tc0 = inputs(options, torch)
    batch_first = options.get("batch_first", False)
    if lengths is None:
        ty, (th, tc) = twin(tx, (th0, tc0))
    else:
        rnn = torch.nn.utils.rnn
        packed = rnn.pack_padded_sequence(tx, lengths, batch_first, enforce_sorted=False)
        ty, (th, tc) = twin(packed, (th0, tc0))
        ty, _ = rnn.pad_packed_sequence(ty, batch_first, total_length=T)
    for actual, expected in ((y, ty), (h, th), (c, tc)):
        assert_close(actual.detach(), expected)

    upstream = [normal(*part.shape, seed=9 + i) for i, part in enumerate((y, h, c))]
    loss = sum((part * minidl.tensor(g)).sum() for part, g in zip((y, h, c), upstream))
    loss.backward()
    sum((part * torch.tensor(g)).sum() for part, g in zip((ty, th, tc), upstream)).backward()
    for actual, expected in ((x, tx), (h0, th0), (c0, tc0)):
        assert_close(actual.grad, expected.grad)
    for actual, expected in zip(layer.parameters(), twin.parameters()):
        assert_close(actual.grad, expected.grad)


@pytest.mark.torch
@pytest.mark.parametrize("bias", [True, False])
def test_cell_equals_pytorch_over_steps(bias):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    cell = nn.LSTMCell(I, H, bias).to("float64")
    twin = torch.nn.LSTMCell(I, H, bias).double()
    cell.load_state_dict({name: value.numpy() for name, value in twin.state_dict().items()})
    state = expected = None
    for step in range(3):
        x = normal(N, I, seed=step)
        state, expected = cell(minidl.tensor(x), state), twin(torch.tensor(x), expected)
    (state[0] * state[1]).sum().backward()
    (expected[0] * expected[1]).sum().backward()
    for actual, wanted in zip(state, expected):
        assert_close(actual.detach(), wanted)
    for actual, wanted in zip(cell.parameters(), twin.parameters()):
        assert_close(actual.grad, wanted.grad)


def test_state_carries_over_from_call_to_call():
    layer = nn.LSTM(I, H, num_layers=2)
    x = minidl.tensor(normal(T, N, I).astype(np.float32))
    y, (h, c) = layer(x)
    first, state = layer(x[:2])
    rest, (h_end, c_end) = layer(x[2:], state)
    np.testing.assert_allclose(minidl.ops.cat([first, rest]).detach().numpy(), y.detach().numpy(),
                               atol=1e-6)  # fmt: skip
    np.testing.assert_allclose(h_end.detach().numpy(), h.detach().numpy(), atol=1e-6)
    np.testing.assert_allclose(c_end.detach().numpy(), c.detach().numpy(), atol=1e-6)


@pytest.mark.parametrize("kernels", ["reference", "numba"])
def test_a_batch_of_lengths_equals_the_sequences_alone(kernels):
    """What stands past a sequence's end has no effect, not even NaN; nor have its neighbours."""
    layer = nn.LSTM(I, H, num_layers=2, bidirectional=True).to("float64")
    lengths = [3, 5, 1]
    x = normal(T, N, I)
    for n, length in enumerate(lengths):
        x[length:, n] = np.nan
    x = minidl.tensor(x, requires_grad=True)
    with minidl.use_cpu_kernels(kernels):
        y, (h, c) = layer(x, lengths=minidl.tensor(lengths))
        y.sum().backward()
        together = {name: p.grad.numpy().copy() for name, p in layer.named_parameters()}
        layer.zero_grad()
        for n, length in enumerate(lengths):
            alone, (h_alone, c_alone) = layer(x[:length, n : n + 1])
            alone.sum().backward()
            assert_close(y[:length, n : n + 1].detach(), alone)
            assert_close(h[:, n : n + 1].detach(), h_alone)
            assert_close(c[:, n : n + 1].detach(), c_alone)
            assert (y[length:, n].detach().numpy() == 0).all()
    for name, parameter in layer.named_parameters():
        np.testing.assert_allclose(together[name], parameter.grad.numpy(), atol=1e-12)


def test_dropout_acts_between_layers_in_training_only():
    minidl.manual_seed(0)
    layer = nn.LSTM(I, 8, num_layers=2, dropout=0.5)
    x = minidl.tensor(normal(T, N, I).astype(np.float32))
    first, second = layer(x)[0].detach().numpy(), layer(x)[0].detach().numpy()
    assert (first != second).any()
    layer.eval()
    once, again = layer(x)[0].detach().numpy(), layer(x)[0].detach().numpy()
    np.testing.assert_array_equal(once, again)
    single = nn.LSTM(I, 8, dropout=0.5)  # there is nothing between one layer
    np.testing.assert_array_equal(single(x)[0].detach().numpy(), single(x)[0].detach().numpy())


def test_parameters_start_within_their_bound():
    minidl.manual_seed(0)
    values = np.concatenate([p.data.ravel() for p in nn.LSTM(30, 25).parameters()])
    assert np.abs(values).max() <= 0.2  # 1 / sqrt(25)
    assert abs(values.std() - 0.2 / np.sqrt(3)) < 0.004


def test_repr():
    assert repr(nn.LSTM(4, 2)) == "LSTM(4, 2)"
    assert repr(nn.LSTMCell(4, 2, bias=False)) == "LSTMCell(4, 2, bias=False)"
    layer = nn.LSTM(4, 2, num_layers=2, bidirectional=True)
    assert repr(layer) == "LSTM(4, 2, num_layers=2, bidirectional=True)"


x, layer = minidl.ones(T, N, I), nn.LSTM(I, H)


@pytest.mark.parametrize("call, error, text", [
    (lambda: nn.LSTM(0, 3), ArgumentError, "ints >= 1"),
    (lambda: nn.LSTM(3, 3, dropout=2), ArgumentError, "probability"),
    (lambda: layer(minidl.ones(T, I)), ShapeError, "(T, N, I) with I = 4"),
    (lambda: layer(minidl.ones(T, N, 7)), ShapeError, "I = 4"),
    (lambda: nn.LSTM(I, H, batch_first=True)(minidl.ones(T, 7)), ShapeError, "(N, T, I)"),
    (lambda: layer(x, minidl.ones(1, N, H)), ArgumentError, "a pair (h0, c0)"),
    (lambda: layer(x, (minidl.ones(1, N, H), minidl.ones(2, N, H))), ShapeError, "c0 is (1, 3, 2)"),
    (lambda: layer(x, lengths=[1, 2, 6]), ArgumentError, "from 0 to T = 5"),
    (lambda: layer(x, (None, None)), ShapeError, "h0 is (1, 3, 2)"),
    (lambda: nn.LSTMCell(I, H)(x[0], (None, None)), DtypeError, "h0 must be a Tensor"),
    (lambda: nn.LSTM(True, 3), ArgumentError, "ints >= 1"),
    (lambda: nn.LSTMCell(3, 0), ArgumentError, "ints >= 1"),
    (lambda: nn.LSTMCell(3, 2)(minidl.ones(1, 4)), ShapeError, "(N, I) with I = 3"),
    (lambda: nn.LSTMCell(3, 2)(minidl.ones(1, 3), x), ArgumentError, "a pair (h, c)"),
    (lambda: layer(x.data), DtypeError, "must be a Tensor"),
])  # fmt: skip
def test_mistakes(call, error, text):
    with pytest.raises(error) as caught:
        call()
    assert text in str(caught.value)
