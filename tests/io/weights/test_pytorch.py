"""torch.save's files: what tensors can look like, and what does not belong into them."""

import io
import pickle
import tracemalloc
import zipfile

import numpy as np
import pytest

from minidl.errors import CheckpointError
from minidl.io import read_weights
from tests.io.weights.make import (
    BIAS,
    CONV,
    STATE,
    STATE_ARRAYS,
    Call,
    Tensor,
    Word,
    assert_same,
    numbers,
    torch_legacy,
    torch_pickle,
    torch_zip,
    zip_of_pickle,
)

CONTAINERS = {"zip": torch_zip, "legacy": torch_legacy}


@pytest.fixture(params=CONTAINERS)
def container(request):
    return CONTAINERS[request.param]


@pytest.fixture
def read(tmp_path):
    """Reads bytes by way of a file."""

    def read_bytes(data):
        (tmp_path / "weights.pth").write_bytes(data)
        return read_weights(tmp_path / "weights.pth")

    return read_bytes


DTYPES = ["float64", "float32", "float16", "int64", "int32", "int16", "int8", "uint8", "bool",
          "complex64", "complex128"]  # fmt: skip


@pytest.mark.parametrize("dtype", DTYPES)
def test_every_type(dtype, container, read):
    array = (3 * numbers(2, 3, 1)).astype(dtype)
    expected = array.astype(np.float32) if dtype == "float16" else array
    assert_same(read(container({"x": Tensor(array)})).tensors, {"x": expected})


@pytest.mark.parametrize("order", ["<", ">"])
def test_bfloat16_and_byte_order(order, read):
    full = np.float32([1.5, -2.0, 3e38, 1e-38, 0.0078125, np.inf])
    upper = (full.view(np.uint32) >> 16).astype(np.uint16)
    expected = (upper.astype(np.uint32) << 16).view(np.float32)
    state = {"half": Tensor(upper, kind="BFloat16Storage"), "float": Tensor(CONV)}
    weights = read(torch_zip(state, order))
    assert_same(weights.tensors, {"half": expected, "float": CONV})
    assert expected[0] == 1.5 and expected[1] == -2.0


def test_views_of_one_storage(container, read):
    base = numbers(24)
    views = {
        "whole": Tensor(base, 0, (4, 6), (6, 1), "7"),
        "transposed": Tensor(base, 0, (6, 4), (1, 6), "7"),
        "part": Tensor(base, 5, (2, 3), (12, 2), "7"),
        "expanded": Tensor(base, 3, (3, 2), (0, 1), "7"),
        "one": Tensor(base, 23, (), (), "7"),
        "none": Tensor(base, 24, (0, 3), (3, 1), "7"),
    }
    expected = {
        "whole": base.reshape(4, 6), "transposed": base.reshape(4, 6).T, "one": base[23],
        "part": base[[[5, 7, 9], [17, 19, 21]]], "expanded": np.tile(base[3:5], (3, 1)),
        "none": base[:0].reshape(0, 3),
    }  # fmt: skip
    tensors = read(container(views)).tensors
    assert_same(tensors, {name: np.asarray(array) for name, array in expected.items()})
    tensors["whole"][:] = 0  # arrays of their own, although the file has one storage
    np.testing.assert_array_equal(tensors["transposed"], expected["transposed"])


def test_views_that_mean_the_conjugate_or_negative(container, read):
    pairs = numbers(3) + 1j * numbers(3, seed=1)
    parts = pairs.view(np.float32)
    views = {
        "conj": Tensor(pairs, metadata={"conj": True}),
        "imag of conj": Tensor(parts, 1, (3,), (2,), metadata={"neg": True}),
        "both": Tensor(pairs, metadata={"conj": True, "neg": True}),
        "neither": Tensor(pairs, metadata={"conj": False}),
    }
    assert_same(read(container(views)).tensors, {
        "conj": pairs.conj(), "imag of conj": -pairs.imag, "both": -pairs.conj(), "neither": pairs,
    })  # fmt: skip
    with pytest.raises(CheckpointError, match="a tensor of integers means"):
        read(container({"x": Tensor(np.array([True]), metadata={"neg": True})}))


@pytest.mark.parametrize(
    "offset, shape, strides",
    [
        (1, (4, 6), (6, 1)), (25, (1,), (1,)), (0, (5, 6), (6, 1)), (0, (4, 6), (6, 2)),
        (0, (2, 2), (1 << 40, 1)), (1 << 62, (1,), (1,)), (0, (25,), (1,)), (0, (), ()),
    ],
)  # fmt: skip
def test_a_view_stays_in_its_storage(offset, shape, strides, container, read):
    base = numbers(24)
    data = container({"x": Tensor(base, offset, shape, strides)})
    if shape == ():
        return assert_same(read(data).tensors, {"x": base[0].reshape(())})
    with pytest.raises(CheckpointError, match="reaches to element .* of a storage of 24"):
        read(data)


@pytest.mark.parametrize(
    "offset, shape, strides, text",
    [
        (-1, (2,), (1,), "no numbers"), (0, (-2,), (1,), "no numbers"),
        (0, (2,), (-1,), "no numbers"), (0, (2, 2), (1,), "more strides than dimensions"),
        (0, (1,) * 40, (1,) * 40, "more than 32 dimensions"), (0, "ab", (1, 1), "no numbers"),
        (0, (1 << 41, 0), (1, 1), "impossible shape"), (0, (True,), (1,), "no numbers"),
        (0.5, (2,), (1,), "no numbers"), (1 << 70, (2,), (1,), "no numbers"),
    ],
)  # fmt: skip
def test_shapes_that_are_none(offset, shape, strides, text, read):
    tensor = Tensor(numbers(4))
    tensor.offset, tensor.shape, tensor.strides = offset, shape, strides
    stream, storages = torch_pickle({"x": tensor}) if shape != "ab" else pickle_text_shape()
    with pytest.raises(CheckpointError, match=text):
        read(zip_of_pickle(stream, storages))


def pickle_text_shape():
    data, storages = torch_pickle({"x": Tensor(numbers(4), 0, (7, 9), (3, 3))})
    return data.replace(b"K\x07K\x09\x86", b"X\x02\x00\x00\x00ab"), storages


def test_a_small_file_does_not_fill_the_memory(read):
    huge = {"x": Tensor(numbers(1), 0, (1 << 20, 1 << 15), (0, 0))}
    with pytest.raises(CheckpointError, match="unpacks to more than"):
        read(torch_zip(huge))
    many = {f"x{i}": Tensor(numbers(1 << 16), 0, (64, 1 << 16), (0, 1), "0") for i in range(100)}
    tracemalloc.start()
    with pytest.raises(CheckpointError, match="unpacks to more than"):
        read(torch_zip(many))
    assert tracemalloc.get_traced_memory()[1] < 200 << 20
    tracemalloc.stop()


def test_zip_bomb(read):
    zeros = np.zeros(20 << 20, np.float32)  # 80 MiB, in a file of 0.08
    data = torch_zip({"x": Tensor(zeros)}, method=zipfile.ZIP_DEFLATED)
    tracemalloc.start()
    with pytest.raises(CheckpointError, match="unpacks to more than"):
        read(data)
    assert tracemalloc.get_traced_memory()[1] < 16 << 20
    tracemalloc.stop()
    small = torch_zip(STATE, method=zipfile.ZIP_DEFLATED)
    assert_same(read(small).tensors, STATE_ARRAYS)  # compression alone is nothing bad


# --- what was saved ---------------------------------------------------------------------------


ORDERED = Call(Word("collections", "OrderedDict"))


def before(wrapper, state):
    """What wrappers have put there stays: models.load_weights takes it off."""
    return {wrapper + name: tensor for name, tensor in state.items()}


@pytest.mark.parametrize(
    "value, expected",
    [
        ({"state_dict": STATE, "epoch": 7, "optimizer": {"state": {0: {"m": Tensor(BIAS)}}}}, {}),
        ({"model": {"state_dict": STATE}, "optimizer": {"param_groups": [{"lr": 0.1}]}}, {}),
        (before("module.", STATE), before("module.", STATE_ARRAYS)),
        ({"state_dict": before("model.", STATE)}, before("model.", STATE_ARRAYS)),
        ({"a": STATE, "b": [Tensor(BIAS)]},
         {**{"a." + name: array for name, array in STATE_ARRAYS.items()}, "b.0": BIAS}),
        (Tensor(CONV), {"tensor": CONV}),
        ([Tensor(CONV), Tensor(BIAS)], {"0": CONV, "1": BIAS}),
    ],
)  # fmt: skip
def test_the_state_dict_is_found(value, expected, container, read):
    weights = read(container(value))
    assert_same(weights.tensors, expected or STATE_ARRAYS)
    if isinstance(value, dict) and "epoch" in value:
        assert weights.meta == {"epoch": 7}


def test_two_ways_to_one_name(read):
    with pytest.raises(CheckpointError, match="two tensors have the same name"):
        read(torch_zip({"a": {"b": Tensor(BIAS)}, "a.b": Tensor(BIAS)}))


def test_parameters_are_tensors(container, read):
    make = Word("torch._utils", "_rebuild_parameter")
    value = {"x": Call(make, Tensor(CONV), True, ORDERED)}
    assert_same(read(container(value)).tensors, {"x": CONV})


@pytest.mark.parametrize(
    "extra, text",
    [
        ({"archive/code/__torch__.py": b"x"}, "a TorchScript program"),
        ({"archive/constants.pkl": b"x"}, "a TorchScript program"),
        ({"other/data.pkl": b"x"}, "no data.pkl, or several"),
    ],
)
def test_archives_that_are_something_else(extra, text, read):
    with pytest.raises(CheckpointError, match=text):
        read(torch_zip(STATE, extra=extra))


def test_storages_that_are_missing_or_short(read):
    data, storages = torch_pickle(STATE)
    short = {**storages, "1": storages["1"][:2]}
    with pytest.raises(CheckpointError, match="of a storage of 2"):
        read(zip_of_pickle(data, short))
    del short["1"]
    with pytest.raises(CheckpointError, match="a member of the archive is missing"):
        read(zip_of_pickle(data, short))


def test_damage_to_numbers_is_noticed(read):
    data = bytearray(torch_zip(STATE))
    place = bytes(data).index(BIAS.tobytes())
    data[place] ^= 1
    with pytest.raises(CheckpointError, match="CRC"):
        read(bytes(data))


def test_legacy_files_must_end_where_they_say(read):
    data = torch_legacy(STATE)
    for cut in (1, 20, 400):
        with pytest.raises(CheckpointError):
            read(data[:-cut])
    with pytest.raises(CheckpointError, match="goes on behind the last storage"):
        read(data + b"\0")
    with pytest.raises(CheckpointError, match="not one of torch.save"):
        read(pickle.dumps({"a": 1}, 2))


# --- PyTorch's own files ----------------------------------------------------------------------


def saved(torch, value, legacy):
    stream = io.BytesIO()
    torch.save(value, stream, _use_new_zipfile_serialization=not legacy)
    return stream.getvalue()


@pytest.mark.torch
@pytest.mark.parametrize("legacy", [False, True])
def test_files_of_torch(legacy, read):
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    model = torch.nn.Sequential(
        torch.nn.Conv2d(3, 4, (2, 5)), torch.nn.BatchNorm2d(4), torch.nn.Linear(7, 3)
    )
    model.register_parameter("tied", model[2].weight)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    schedule = torch.optim.lr_scheduler.MultiStepLR(optimizer, [3, 5])
    model[0](torch.randn(1, 3, 6, 6)).sum().backward()
    optimizer.step()
    checkpoint = {
        "epoch": 3, "arch": "net", "state_dict": model.state_dict(),
        "optimizer": optimizer.state_dict(), "schedule": schedule.state_dict(),
        "best": torch.tensor(0.5), "size": torch.Size([1, 2]), "device": torch.device("cpu"),
        "dtype": torch.float32,
    }  # fmt: skip
    expected = {name: tensor.numpy() for name, tensor in model.state_dict().items()}
    weights = read(saved(torch, checkpoint, legacy))
    assert_same(weights.tensors, expected)
    assert weights.meta == {"epoch": 3, "arch": "net"}
    parameters = dict(model.named_parameters(remove_duplicate=False))
    named = read(saved(torch, parameters, legacy)).tensors
    assert_same(named, {name: p.detach().numpy() for name, p in parameters.items()})


@pytest.mark.torch
@pytest.mark.parametrize("legacy", [False, True])
def test_types_and_views_of_torch(legacy, read):
    torch = pytest.importorskip("torch")
    x = torch.arange(24.0).reshape(2, 3, 4)
    values = {
        "strided": x[:, 1:, ::2].transpose(0, 2), "shared": x, "half": x.half(),
        "bfloat16": (x / 7).bfloat16(), "double": x.double(), "long": x.long(), "bool": x > 5,
        "uint8": x.byte(), "complex": torch.complex(x, -x), "scalar": x[0, 0, 3],
        "empty": x[:0], "channels_last": x[None].contiguous(memory_format=torch.channels_last),
        "conj": torch.complex(x, -x).conj(), "neg": torch.complex(x, -x).conj().imag[1:],
    }  # fmt: skip
    if hasattr(torch, "uint16"):
        values["uint16"] = torch.tensor([1, 65535], dtype=torch.int32).to(torch.uint16)
    narrow = (torch.float16, torch.bfloat16)
    expected = {name: (t.float() if t.dtype in narrow else t).contiguous().resolve_conj()
                .resolve_neg().numpy().copy() for name, t in values.items()}  # fmt: skip
    assert_same(read(saved(torch, values, legacy)).tensors, expected)


@pytest.mark.torch
@pytest.mark.parametrize("legacy", [False, True])
def test_a_whole_module_is_refused(legacy, read):
    torch = pytest.importorskip("torch")
    with pytest.raises(CheckpointError, match=r"(?s)torch\.nn\.modules.*hint: .*state_dict"):
        read(saved(torch, torch.nn.Linear(2, 3), legacy))


@pytest.mark.torch
def test_other_tensors_are_refused(read):
    torch = pytest.importorskip("torch")
    sparse = torch.eye(3).to_sparse()
    with pytest.raises(CheckpointError, match="_rebuild_sparse_tensor"):
        read(saved(torch, {"x": sparse}, False))
