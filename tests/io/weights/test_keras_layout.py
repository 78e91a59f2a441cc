"""What Keras files say of their own layout: the backend, the ordering, what is no weight at all."""

import json
import zipfile

import numpy as np
import pytest

import minidl
from minidl.errors import CheckpointError
from minidl.io import read_weights
from minidl.io.weights import hdf5, hdf5_child
from minidl.nn import functional
from tests.io.weights.make import BIAS, CONV, DENSE, DENSE_BIAS, DEPTHWISE, HWIO, numbers
from tests.io.weights.make import hdf5 as hdf5_bytes

TURNED = CONV[:, :, ::-1, ::-1]
DECONV = numbers(2, 4, 3, 5)  # C K R S, as PyTorch's ConvTranspose2d
CONV3D = numbers(4, 3, 2, 3, 2)


@pytest.fixture(autouse=True)
def in_this_process(monkeypatch):
    """These files are our own: a process for each takes half a second."""
    monkeypatch.setattr(hdf5, "run_child", hdf5_child.decode)


@pytest.fixture
def read(tmp_path):
    def read_layers(layers, backend=None, version=None, config=None, name="weights.h5"):
        def fill(file):
            file.attrs["layer_names"] = [layer.encode() for layer in layers]
            for key, value in (("backend", backend), ("keras_version", version)):
                if value:
                    file.attrs[key] = value.encode()
            if config:
                file.attrs["model_config"] = json.dumps(config)
            for layer, weights in layers.items():
                group = file.create_group(layer)
                group.attrs["weight_names"] = [weight.encode() for weight in weights]
                for weight, array in weights.items():
                    group[weight] = array

        (tmp_path / name).write_bytes(hdf5_bytes(fill))
        return read_weights(tmp_path / name)

    return read_layers


def test_theano_kernels_are_turned_round(read):
    """As Keras' preprocess_weights_for_loading does; depthwise kernels it leaves."""
    r, s = DEPTHWISE.shape[2:]
    layers = {
        "c": {"c/kernel:0": CONV.transpose(HWIO), "c/bias:0": BIAS},
        "t": {"t/kernel:0": DECONV.transpose(HWIO)},
        "c3": {"c3/kernel:0": CONV3D.transpose(2, 3, 4, 1, 0)},
        "dw": {"dw/depthwise_kernel:0": DEPTHWISE.reshape(3, 2, r, s).transpose(2, 3, 0, 1)},
        "fc": {"fc/kernel:0": DENSE.T, "fc/bias:0": DENSE_BIAS},
    }
    found = read(layers, "theano", "2.1.0").tensors
    np.testing.assert_array_equal(found["c/kernel"], TURNED)
    np.testing.assert_array_equal(found["t/kernel"], DECONV[:, :, ::-1, ::-1])
    np.testing.assert_array_equal(found["c3/kernel"], CONV3D[:, :, ::-1, ::-1, ::-1])
    np.testing.assert_array_equal(found["dw/depthwise_kernel"], DEPTHWISE)
    np.testing.assert_array_equal(found["fc/kernel"], DENSE)
    np.testing.assert_array_equal(found["c/bias"], BIAS)
    for backend in ("tensorflow", "cntk", None):  # these correlate
        np.testing.assert_array_equal(read(layers, backend, "2.1.0").tensors["c/kernel"], CONV)


def test_the_turned_kernel_computes_what_theano_did(read):
    """A convolution by its definition, written out."""
    image = numbers(1, 3, 6, 7)
    kernel, rows, columns = CONV.transpose(HWIO), *CONV.shape[2:]
    expected = np.zeros((1, 4, 6 - rows + 1, 7 - columns + 1))
    for i, j in np.ndindex(expected.shape[2:]):
        for u, v in np.ndindex(rows, columns):
            pixel = image[0, :, i + rows - 1 - u, j + columns - 1 - v]
            expected[0, :, i, j] += pixel @ kernel[u, v]
    weight = read({"c": {"c/kernel:0": kernel}}, "theano", "2.0.8").tensors["c/kernel"]
    y = functional.conv2d(minidl.tensor(image), minidl.tensor(weight)).numpy()
    np.testing.assert_allclose(y, expected, rtol=1e-4, atol=1e-4)


# The kernel as each of the four kinds of files has it, all of the same network.
FIRST = {
    ("tensorflow", "tf"): CONV.transpose(HWIO),
    ("tensorflow", "th"): CONV,
    ("theano", "tf"): TURNED.transpose(HWIO),
    ("theano", "th"): TURNED,
}


@pytest.mark.parametrize("backend, ordering", FIRST)
@pytest.mark.parametrize("described", [True, False], ids=["described", "weights only"])
def test_keras_1(read, backend, ordering, described):
    layers = {
        "conv1": {"conv1_W": FIRST[backend, ordering], "conv1_b": BIAS},
        "flatten": {},
        "fc": {"fc_W": DENSE.T, "fc_b": DENSE_BIAS},
    }
    options = {"name": "conv1", "dim_ordering": ordering, "nb_filter": 4}
    config = {
        "class_name": "Sequential",
        "config": [
            {"class_name": "Convolution2D", "config": options},
            {"class_name": "Flatten", "config": {"name": "flatten"}},
            {"class_name": "Dense", "config": {"name": "fc"}},
        ],
    }
    file = read(layers, backend, "1.2.2", config if described else None)
    np.testing.assert_array_equal(file.tensors["conv1/conv1_W"], CONV)
    np.testing.assert_array_equal(file.tensors["fc/fc_W"], DENSE)
    assert file.flatten_order == {"tf": "HWC", "th": "CHW"}[ordering]


def test_keras_1_without_biases_is_seen_from_the_kernels(read):
    square = numbers(6, 2, 3, 3)
    for stored in (square, square.transpose(HWIO)):
        file = read({"c": {"c_W_1": stored}})
        np.testing.assert_array_equal(file.tensors["c/c_W_1"], square)


def test_keras_1_that_cannot_be_told_is_refused(read):
    with pytest.raises(CheckpointError, match='in "th" or in "tf" ordering'):
        read({"c": {"c_W": numbers(3, 3, 3, 3), "c_b": numbers(3)}})


@pytest.mark.parametrize("ordering", ["tf", "th"])
def test_keras_1_transposed(read, ordering):
    stored = {"tf": DECONV.transpose(2, 3, 0, 1), "th": DECONV.transpose(1, 0, 2, 3)}[ordering]
    config = [
        {"class_name": "Deconvolution2D", "config": {"name": "up", "dim_ordering": ordering}},
    ]
    file = read({"up": {"up_W": stored}}, "tensorflow", "1.2.0", config)
    np.testing.assert_array_equal(file.tensors["up/up_W"], DECONV)


@pytest.mark.parametrize("version", ["1.1", "1.2"])
def test_keras_1_in_one_dimension(read, version):
    row = numbers(6, 5, 3)  # K C R
    stored = {"1.1": row[..., None], "1.2": row.transpose(2, 1, 0)[:, None]}[version]
    name = "convolution1d_1"
    file = read({name: {f"{name}_W": stored, f"{name}_b": numbers(6)}}, version=version)
    np.testing.assert_array_equal(file.tensors[f"{name}/{name}_W"], row)


def config_of(*layers):
    return {
        "class_name": "Functional",
        "config": {"layers": [{"class_name": kind, "config": opts} for kind, opts in layers]},
    }


FIRST_MAPS = ("Conv2D", {"name": "c", "data_format": "channels_first"})
LAST_MAPS = ("Conv2D", {"name": "c", "data_format": "channels_last"})


@pytest.mark.parametrize(
    "layers, order",
    [
        ((LAST_MAPS, ("Flatten", {"data_format": "channels_last"})), "HWC"),
        ((FIRST_MAPS, ("Flatten", {})), "CHW"),  # before Keras 2.1.6
        ((FIRST_MAPS, ("Flatten", {"data_format": "channels_last"})), "CHW"),
        ((FIRST_MAPS, ("Flatten", {"data_format": "channels_first"})), "HWC"),  # it turns them
        ((LAST_MAPS, ("Flatten", {"data_format": "channels_first"})), "HWC"),
        ((FIRST_MAPS, ("GlobalAveragePooling2D", {"data_format": "channels_first"})), "CHW"),
        ((("Dense", {}),), "HWC"),
    ],
)
@pytest.mark.parametrize("archive", [False, True], ids=["h5", "keras"])
def test_order_of_flattened_maps(read, tmp_path, layers, order, archive):
    config = config_of(*layers)
    if not archive:
        kernels = {"c": {"c/kernel:0": CONV.transpose(HWIO)}}
        file = read(kernels, "tensorflow", "2.15.0", config)
        np.testing.assert_array_equal(file.tensors["c/kernel"], CONV)
    else:
        file = read_archive(tmp_path, {"layers/conv2d/vars/0": CONV.transpose(HWIO)}, config)
        np.testing.assert_array_equal(file.tensors["layers/conv2d/vars/0"], CONV)
    assert file.flatten_order == order


def read_archive(tmp_path, arrays, config=None, names=None):
    def fill(file):
        for path, array in arrays.items():
            file[path] = array
        for group, name in (names or {}).items():
            file[group].attrs["name"] = name

    with zipfile.ZipFile(tmp_path / "model.keras", "w") as archive:
        archive.writestr("config.json", json.dumps(config or {}))
        archive.writestr("model.weights.h5", hdf5_bytes(fill))
    return read_weights(tmp_path / "model.keras")


def test_what_is_no_weight_in_a_compiled_model(tmp_path):
    """As Keras 3 writes one that was trained with accuracy, dropout and a random flip in it."""
    state = [
        "optimizer/vars/0", "optimizer/vars/1", "metrics/mean/vars/0", "metrics/mean/vars/1",
        "metrics/compile_metrics/vars/0", "_loss_tracker/vars/0", "_compile_metrics/vars/0",
        "_compile_loss/vars/0", "layers/dropout/seed_generator/vars/0", "loss_tracker/vars/0",
        "layers/functional/metrics/mean/vars/0", "layers/random_flip/seed_generator/vars/0",
        "total_loss_tracker/vars/0", "kl_tracker/vars/1", "_tracker/vars/0", "_metrics/0/vars/0",
        "encoder/layers/dropout/seed_generator/vars/0", "compile_metrics/vars/0",
    ]  # fmt: skip
    arrays = {path: np.float32(3) for path in state}
    arrays["layers/dropout/seed_generator/vars/0"] = np.array([1, 2], np.uint32)
    arrays |= {
        "layers/conv2d/vars/0": CONV.transpose(HWIO), "layers/conv2d/vars/1": BIAS,
        "layers/multi_head_attention/_query_dense/vars/0": BIAS,
        "_layer_checkpoint_dependencies/dense/vars/0": DENSE.T,
        "layers/metrics/vars/0": BIAS, "layers/optimizer/layers/loss_tracker/vars/0": BIAS,
        "trackers/vars/0": BIAS,
    }  # fmt: skip
    assert sorted(read_archive(tmp_path, arrays).tensors) == [
        "_layer_checkpoint_dependencies/dense/vars/0", "layers/conv2d/vars/0",
        "layers/conv2d/vars/1", "layers/metrics/vars/0",
        "layers/multi_head_attention/_query_dense/vars/0",
        "layers/optimizer/layers/loss_tracker/vars/0", "trackers/vars/0",
    ]  # fmt: skip


NORM = "layers/batch_normalization/vars"
ALL = ["gamma", "beta", "moving_mean", "moving_variance"]


@pytest.mark.parametrize(
    "options, roles",
    [
        ({}, ALL),
        ({"scale": False}, ALL[1:]),
        ({"center": False}, [ALL[0], *ALL[2:]]),
        ({"scale": False, "center": False}, ALL[2:]),
        (None, ["gamma or beta", *ALL[2:]]),
        (None, ALL[2:]),
        (None, ALL),
    ],
)
def test_which_arrays_a_batch_norm_has(tmp_path, options, roles):
    arrays = {f"{NORM}/{i}": BIAS + i for i in range(len(roles))}
    config = None
    if options is not None:
        options = {"name": "bn", "epsilon": 0.002, **options}
        config = config_of(("BatchNormalization", options))
    meta = read_archive(tmp_path, arrays, config, {NORM: "bn"}).meta
    assert meta["roles"] == {f"{NORM}/{i}": role for i, role in enumerate(roles)}
    told = None if options is None else {f"{NORM}/{len(roles) - 1}": 0.002}
    assert meta.get("eps") == told


def test_bfloat16(tmp_path):
    """HDF5 has no such type: Keras stores the bits, and says so in an attribute."""

    def fill(file):
        bits = (DENSE.T.astype(np.float32).view(np.uint32) >> 16).astype(np.uint16)
        made = file.create_dataset("layers/dense/vars/0", data=bits.view("V2"))
        made.attrs["dtype"] = dtype

    path, dtype = tmp_path / "half.weights.h5", "bfloat16"
    path.write_bytes(hdf5_bytes(fill))
    found = read_weights(path).tensors["layers/dense/vars/0"]
    expected = ((DENSE.astype(np.float32).view(np.uint32) >> 16) << 16).view(np.float32)
    np.testing.assert_array_equal(found, expected)
    dtype = "float8_e4m3fn"
    path.write_bytes(hdf5_bytes(fill))
    with pytest.raises(CheckpointError, match="a type that is not known"):
        read_weights(path)


def test_quantised_kernels_are_refused(tmp_path):
    """model.quantize("int8"): the numbers are multiples of a scale that lies beside them."""
    arrays = {"layers/dense/vars/0": np.ones((3, 4), np.int8), "layers/dense/vars/2": BIAS}
    with pytest.raises(CheckpointError, match="quantised"):
        read_archive(tmp_path, arrays)


@pytest.mark.parametrize("config", ["{", '{"config": ' * 300 + "1" + "}" * 300])
def test_a_damaged_description(tmp_path, config):
    def fill(file):
        file["layers/dense/vars/0"] = BIAS

    with zipfile.ZipFile(tmp_path / "model.keras", "w") as archive:
        archive.writestr("config.json", config)
        archive.writestr("model.weights.h5", hdf5_bytes(fill))
    with pytest.raises(CheckpointError, match="description of the model"):
        read_weights(tmp_path / "model.keras")
