"""Image transformation networks: the paper's sums, any size, twins in PyTorch, ONNX of any size."""

import numpy as np
import pytest

import minidl
from minidl.debug import summary
from minidl.errors import ArgumentError, ShapeError
from minidl.io.onnx.export import serialized, to_proto
from models.transform_net import SuperResolutionNet, TransformNet
from tests.io.onnx.runtime import run_file
from tests.models.shared import n_parameters, with_weights_of


def pictures(*shape, seed=0):
    return np.random.default_rng(seed).uniform(0, 255, shape).astype(np.float32)


def test_parameters():
    """Summed up by hand from the tables."""
    assert n_parameters(TransformNet()) == 1_679_235
    assert n_parameters(TransformNet(width=0.5)) == 424_899
    assert n_parameters(SuperResolutionNet()) == 401_859


@pytest.mark.parametrize(
    "net, size, macs",
    [
        pytest.param(TransformNet, 256, 10_078_912_512, marks=pytest.mark.slow),
        (TransformNet, 32, 10_078_912_512 // 64),  # 8 x 8 of them make the larger one
        (lambda: TransformNet(0.5), 64, 2_774_532_096 // 16),
        (lambda: SuperResolutionNet().eval(), 9, 6_721_449_984 // 64),
    ],
)
def test_multiply_accumulates(net, size, macs):
    assert summary(net(), (1, 3, size, size)).macs == macs


@pytest.mark.parametrize("size", [(5, 5), (5, 18), (21, 30), (32, 33), (7, 64)])
def test_the_output_is_as_large_as_the_input(size):
    y = TransformNet(width=0.1)(minidl.tensor(pictures(2, 3, *size)))
    assert y.shape == (2, 3, *size)
    assert np.isfinite(y.detach().numpy()).all() and abs(y.detach().numpy() - 127.5).max() < 150.1


@pytest.mark.parametrize("scale", [2, 4])
def test_super_resolution_enlarges(scale):
    net = SuperResolutionNet(scale, width=0.1).eval()
    assert net(minidl.tensor(pictures(1, 3, 5, 11))).shape == (1, 3, 5 * scale, 11 * scale)


def test_pictures_of_a_batch_do_not_see_each_other():
    """Instance norm: each picture has a mean and a spread of its own."""
    net, x = TransformNet(width=0.2), pictures(3, 3, 13, 18)
    together = net(minidl.tensor(x)).detach().numpy()
    for i in range(3):
        alone = net(minidl.tensor(x[i : i + 1])).detach().numpy()
        np.testing.assert_allclose(together[i : i + 1], alone, rtol=0, atol=2e-3)


def test_instance_norm_is_batch_norm_of_one_picture():
    x = minidl.tensor(pictures(1, 4, 9, 7))
    instance = minidl.nn.InstanceNorm2d(4, affine=True)
    batch = minidl.nn.BatchNorm2d(4)
    for norm in (instance, batch):
        norm.weight.data[:] = [1.0, -2.0, 0.5, 3.0]
        norm.bias.data[:] = [0.1, 0.2, -0.3, 0.4]
    by_instance, by_batch = instance(x).detach().numpy(), batch(x).detach().numpy()
    np.testing.assert_allclose(by_instance, by_batch, rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    "call, error, says",
    [
        (lambda: TransformNet(0.1)(minidl.ones(1, 3, 4, 9)), ShapeError, "at least 5"),
        (lambda: TransformNet(0.1)(minidl.ones(1, 1, 9, 9)), ShapeError, "(N, 3, H, W)"),
        (lambda: TransformNet(0), ArgumentError, "width is a number above 0"),
        (lambda: SuperResolutionNet(3), ArgumentError, "scale is 2 or 4"),
    ],
)
def test_what_does_not_fit(call, error, says):
    with pytest.raises(error) as caught:
        call()
    assert says in str(caught.value)


# --- twins --------------------------------------------------------------------------------------


def twin_of(net):
    from tests.models import transform_twins

    arguments = {"width": 0.25}
    arguments |= {"scale": net.scale} if isinstance(net, SuperResolutionNet) else {}
    twin = getattr(transform_twins, type(net).__name__)(**arguments)
    return with_weights_of(twin, net)


@pytest.mark.torch
@pytest.mark.parametrize("size", [(24, 32), (19, 26)])
@pytest.mark.parametrize("net", [TransformNet(0.25), SuperResolutionNet(2, 0.25)])
def test_outputs_and_gradients_equal_pytorch(net, size):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    twin, x = twin_of(net).double(), pictures(2, 3, *size)
    net = type(net)(**({"scale": 2} if hasattr(net, "scale") else {}), width=0.25).to("float64")
    net.load_state_dict({k: v.detach().numpy() for k, v in twin.state_dict().items()})
    ours, theirs = net(minidl.tensor(x.astype(float))), twin(torch.from_numpy(x).double())
    np.testing.assert_allclose(ours.detach().numpy(), theirs.detach().numpy(), rtol=0, atol=1e-8)
    weights = np.random.default_rng(1).standard_normal(ours.shape)
    (ours * minidl.tensor(weights)).sum().backward()
    (theirs * torch.from_numpy(weights)).sum().backward()
    for (name, ours), (_, theirs) in zip(net.named_parameters(), twin.named_parameters()):
        scale = max(1.0, float(theirs.grad.abs().max()))
        difference = np.abs(ours.grad.detach().numpy() - theirs.grad.detach().numpy()).max()
        assert difference < 1e-8 * scale, name


# --- ONNX ---------------------------------------------------------------------------------------

ANY_SIZE = {"input": {0: "batch", 2: "height", 3: "width"}}


@pytest.mark.parametrize("opset", [18, 21])
def test_one_onnx_file_for_all_sizes(opset):
    net = TransformNet(width=0.2)
    proto = to_proto(net, (1, 3, 24, 24), opset=opset, dynamic_axes=ANY_SIZE)
    dims = proto.graph.input[0].type.tensor_type.shape.dim
    assert [d.dim_param or d.dim_value for d in dims] == ["batch", 3, "height", "width"]
    dims = proto.graph.output[0].type.tensor_type.shape.dim
    assert [d.dim_param or d.dim_value for d in dims] == ["batch", 3, "height", "width"]
    data = serialized(proto)
    for shape in [(1, 3, 31, 45), (2, 3, 50, 27), (1, 3, 64, 64), (3, 3, 7, 6)]:
        x = pictures(*shape)
        (found,) = run_file(data, [x])
        wanted = net(minidl.tensor(x)).detach().numpy()
        assert found.shape == wanted.shape
        np.testing.assert_allclose(found, wanted, rtol=0, atol=0.02)


def test_an_onnx_file_of_super_resolution_takes_all_sizes():
    net = SuperResolutionNet(4, width=0.1).eval()
    data = serialized(to_proto(net, (1, 3, 12, 12), dynamic_axes=ANY_SIZE))
    for shape in [(1, 3, 9, 14), (2, 3, 13, 8)]:
        x = pictures(*shape)
        np.testing.assert_allclose(
            run_file(data, [x])[0], net(minidl.tensor(x)).detach().numpy(), rtol=0, atol=0.02
        )
