"""Weight files as the libraries write them, in memory: the bytes, and the arrays in them."""

import io
import pickle
import struct
import zipfile

import numpy as np

MAGIC_NUMBER = 0x1950A86A20F9469CFC6C


def numbers(*shape, seed=0, dtype=np.float32):
    """Random numbers, all different."""
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


CONV, BIAS = numbers(4, 3, 2, 5), numbers(4, seed=1)  # K C R S, with R and S different
DENSE, DENSE_BIAS = numbers(3, 7, seed=2), numbers(3, seed=3)  # out, in
DEPTHWISE = numbers(6, 1, 2, 3, seed=4)  # three channels with two outputs each
HWIO = (2, 3, 1, 0)


# --- PyTorch, without PyTorch -----------------------------------------------------------------


class Word:
    """Something that is pickled as the global name of a class or function of PyTorch."""

    def __init__(self, module, name):
        self.module, self.name = module, name


class Tensor:
    """A tensor to pickle: its array, or a view of a storage."""

    def __init__(
        self, array, offset=0, shape=None, strides=None, key=None, kind=None, metadata=None
    ):
        self.array = np.ascontiguousarray(array)
        self.offset = offset
        self.shape = self.array.shape if shape is None else shape
        self.strides = contiguous(self.shape) if strides is None else strides
        self.key, self.kind, self.metadata = key, kind, metadata


class Call:
    """REDUCE of a word with arguments."""

    def __init__(self, word, *arguments):
        self.word, self.arguments = word, arguments


def contiguous(shape):
    return tuple(int(np.prod(shape[i + 1 :], dtype=int)) for i in range(len(shape)))


KINDS = {
    "float32": "FloatStorage", "float64": "DoubleStorage", "float16": "HalfStorage",
    "int64": "LongStorage", "int32": "IntStorage", "int16": "ShortStorage", "int8": "CharStorage",
    "uint8": "ByteStorage", "bool": "BoolStorage", "complex64": "ComplexFloatStorage",
    "complex128": "ComplexDoubleStorage", "uint16": "BFloat16Storage",
}  # fmt: skip


class TorchPickler(pickle._Pickler):
    """Writes Tensors and Words as torch.save does; the storages gather in `storages`."""

    def __init__(self, file, legacy):
        super().__init__(file, protocol=2)
        self.storages, self.legacy = {}, legacy

    def save(self, obj, save_persistent_id=True):
        if isinstance(obj, Word):
            self.write(f"c{obj.module}\n{obj.name}\n".encode())
        elif isinstance(obj, Call):
            self.save(obj.word)
            self.save(obj.arguments)
            self.write(b"R")
        elif isinstance(obj, Tensor):
            key = obj.key or str(len(self.storages))
            self.storages.setdefault(key, obj.array)
            kind = obj.kind or KINDS[str(obj.array.dtype)]
            identity = ("storage", Word("torch", kind), key, "cpu", obj.array.size)
            self.save(Word("torch._utils", "_rebuild_tensor_v2"))
            self.write(b"(")
            self.save((*identity, None) if self.legacy else identity)
            self.write(b"Q")
            for part in (obj.offset, tuple(obj.shape), tuple(obj.strides), False):
                self.save(part)
            self.save(Call(Word("collections", "OrderedDict")))
            if obj.metadata is not None:
                self.save(obj.metadata)
            self.write(b"tR")
        else:
            super().save(obj, save_persistent_id)


def torch_pickle(value, legacy=False):
    """The pickle, and the storages by key."""
    stream = io.BytesIO()
    pickler = TorchPickler(stream, legacy)
    pickler.dump(value)
    return stream.getvalue(), pickler.storages


def torch_zip(value, order="<", method=zipfile.ZIP_STORED, extra=()):
    """What torch.save writes since 1.6."""
    data, storages = torch_pickle(value)
    return zip_of_pickle(data, storages, order, method, extra)


def zip_of_pickle(data, storages=(), order="<", method=zipfile.ZIP_STORED, extra=()):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as file:
        file.writestr("archive/data.pkl", data)
        file.writestr("archive/byteorder", b"little" if order == "<" else b"big")
        for key, array in dict(storages).items():
            ordered = array.astype(array.dtype.newbyteorder(order))
            file.writestr(f"archive/data/{key}", ordered.tobytes())
        file.writestr("archive/version", b"3\n")
        for name, content in dict(extra).items():
            file.writestr(name, content)
    return stream.getvalue()


def torch_legacy(value):
    """What torch.save wrote before 1.6."""
    data, storages = torch_pickle(value, legacy=True)
    sizes = {"short": 2, "int": 4, "long": 4}
    machine = {"protocol_version": 1001, "little_endian": True, "type_sizes": sizes}
    parts = [pickle.dumps(part, 2) for part in (MAGIC_NUMBER, 1001, machine)]
    parts += [data, pickle.dumps(sorted(storages), 2)]
    for key in sorted(storages):
        parts += [struct.pack("<q", storages[key].size), storages[key].tobytes()]
    return b"".join(parts)


STATE = {"conv.weight": Tensor(CONV), "conv.bias": Tensor(BIAS), "fc.weight": Tensor(DENSE)}
STATE_ARRAYS = {"conv.weight": CONV, "conv.bias": BIAS, "fc.weight": DENSE}


# --- Keras ------------------------------------------------------------------------------------


def hdf5(fill):
    """The bytes of an HDF5 file that `fill` writes."""
    import h5py

    stream = io.BytesIO()
    with h5py.File(stream, "w") as file:
        fill(file)
    return stream.getvalue()


def keras2(file):
    """Keras 2, by model.save_weights("x.h5")."""
    layers = {"block1_conv1": (CONV.transpose(HWIO), BIAS), "pool": (), "fc": (DENSE.T, DENSE_BIAS)}
    file.attrs["layer_names"] = [name.encode() for name in layers]
    file.attrs["backend"], file.attrs["keras_version"] = b"tensorflow", b"2.4.0"
    for name, arrays in layers.items():
        group = file.create_group(name)
        names = [f"{name}/{kind}:0" for kind, _ in zip(("kernel", "bias"), arrays)]
        group.attrs["weight_names"] = [weight.encode() for weight in names]
        for weight, array in zip(names, arrays):
            group[weight] = array


KERAS2_ARRAYS = {
    "block1_conv1/kernel": CONV, "block1_conv1/bias": BIAS, "fc/kernel": DENSE,
    "fc/bias": DENSE_BIAS,
}  # fmt: skip


def keras3(file):
    """Keras 3, by model.save_weights("x.weights.h5")."""
    r, s = DEPTHWISE.shape[2:]
    depthwise = DEPTHWISE.reshape(3, 2, r, s).transpose(2, 3, 0, 1)
    layers = {
        "conv2d": ("block1_conv1", [CONV.transpose(HWIO), BIAS]),
        "conv2d_1": ("block1_conv2", [CONV.transpose(HWIO) + 1, BIAS + 1]),
        "depthwise_conv2d": ("dw", [depthwise]),
        "batch_normalization": ("bn", [BIAS, BIAS + 1, BIAS + 2, BIAS + 3]),
        "embedding": ("words", [DENSE]),
        "dense": ("fc", [DENSE.T, DENSE_BIAS]),
    }
    for name, (layer, arrays) in layers.items():
        group = file.create_group(f"layers/{name}/vars")
        group.attrs["name"] = layer
        for index, array in enumerate(arrays):
            group[str(index)] = array
    file.create_group("optimizer/vars")["0"] = np.zeros(3)


KERAS3_ARRAYS = {
    "layers/conv2d/vars/0": CONV, "layers/conv2d/vars/1": BIAS,
    "layers/conv2d_1/vars/0": CONV + 1, "layers/conv2d_1/vars/1": BIAS + 1,
    "layers/depthwise_conv2d/vars/0": DEPTHWISE,
    "layers/batch_normalization/vars/0": BIAS, "layers/batch_normalization/vars/1": BIAS + 1,
    "layers/batch_normalization/vars/2": BIAS + 2, "layers/batch_normalization/vars/3": BIAS + 3,
    "layers/embedding/vars/0": DENSE,
    "layers/dense/vars/0": DENSE, "layers/dense/vars/1": DENSE_BIAS,
}  # fmt: skip


# --- Caffe ------------------------------------------------------------------------------------


def field(number, content):
    """A protobuf field of a length and bytes."""
    return varint(number << 3 | 2) + varint(len(content)) + content


def number_field(number, value):
    return varint(number << 3) + varint(value)


def varint(value):
    out = b""
    while value > 0x7F:
        out, value = out + bytes([value & 0x7F | 0x80]), value >> 7
    return out + bytes([value])


def blob(array, legacy=False):
    """A BlobProto, by hand: the test does not rely on the description that it tests."""
    if legacy:
        dims = (1,) * (4 - array.ndim) + array.shape
        head = b"".join(number_field(i + 1, n) for i, n in enumerate(dims))
        return head + field(5, array.astype("<f4").tobytes())
    shape = field(7, field(1, b"".join(varint(n) for n in array.shape)))
    if array.dtype == np.float64:
        return shape + field(8, array.astype("<f8").tobytes())
    return shape + field(5, array.astype("<f4").tobytes())


def layer(name, kind, *arrays, extra=b""):
    """A LayerParameter."""
    blobs = b"".join(field(7, blob(array)) for array in arrays)
    return field(100, field(1, name.encode()) + field(2, kind.encode()) + blobs + extra)


def v1_layer(name, kind, *arrays):
    """A V1LayerParameter, whose type is a number."""
    blobs = b"".join(field(6, blob(array, legacy=True)) for array in arrays)
    return field(2, field(4, name.encode()) + number_field(5, kind) + blobs)


CAFFE = field(1, b"net") + b"".join([
    layer("data", "Input"), layer("conv1/3x3", "Convolution", CONV, BIAS),
    layer("bn1", "BatchNorm", 4 * BIAS, 4 * np.abs(BIAS), np.float32([4])),
    layer("scale1", "Scale", BIAS, BIAS + 1), layer("fc", "InnerProduct", DENSE, DENSE_BIAS),
])  # fmt: skip
CAFFE_ARRAYS = {
    "conv1/3x3.weight": CONV, "conv1/3x3.bias": BIAS, "bn1.running_mean": BIAS,
    "bn1.running_var": np.abs(BIAS), "scale1.weight": BIAS, "scale1.bias": BIAS + 1,
    "fc.weight": DENSE, "fc.bias": DENSE_BIAS,
}  # fmt: skip
CAFFE_V1 = field(1, b"CaffeNet") + v1_layer("conv1", 4, CONV, BIAS) + (
    v1_layer("fc6", 14, DENSE, DENSE_BIAS)
)  # fmt: skip
CAFFE_V1_ARRAYS = {"conv1.weight": CONV, "conv1.bias": BIAS, "fc6.weight": DENSE,
                   "fc6.bias": DENSE_BIAS}  # fmt: skip


# --- MatConvNet -------------------------------------------------------------------------------


def cell(*values):
    out = np.empty((1, len(values)), dtype=object)
    for index, value in enumerate(values):
        out[0, index] = value
    return out


def structs(*rows):
    """A struct array."""
    out = np.empty((1, len(rows)), dtype=[(name, object) for name in rows[0]])
    for index, row in enumerate(rows):
        for name, value in row.items():
            out[name][0, index] = value
    return out


MEAN = np.array([123.0, 116.0, 103.0], np.float32).reshape(1, 1, 3)
META = {
    "classes": {"name": cell("n01", "n02"), "description": cell("tench", "gold fish")},
    "normalization": {"averageImage": MEAN, "imageSize": np.array([[224.0, 224.0, 3.0]])},
}
MOMENTS = np.stack([BIAS, np.abs(BIAS)], axis=1)


def mat(variables, compressed=False):
    from scipy.io import savemat

    stream = io.BytesIO()
    savemat(stream, variables, do_compression=compressed)
    return stream.getvalue()


def simplenn():
    fc = DENSE.reshape(3, 7, 1, 1)
    return {"layers": cell(
        {"name": "conv1", "type": "conv", "weights": cell(CONV.transpose(HWIO), BIAS[None]),
         "pad": np.zeros((1, 4))},
        {"name": "relu1", "type": "relu"},
        {"name": "bn1", "type": "bnorm",
         "weights": cell(BIAS[:, None], BIAS[:, None] + 1, MOMENTS)},
        {"name": "fc6", "type": "conv", "filters": fc.transpose(HWIO), "biases": DENSE_BIAS[None]},
    ), "meta": META}  # fmt: skip


SIMPLENN_ARRAYS = {
    "conv1f": CONV, "conv1b": BIAS, "bn1m": BIAS, "bn1b": BIAS + 1, "bn1x": MOMENTS,
    "fc6f": DENSE.reshape(3, 7, 1, 1), "fc6b": DENSE_BIAS,
}  # fmt: skip


def dagnn():
    one = CONV[:1]  # one output: MATLAB drops the last dimension
    params = structs(
        {"name": "conv1_filter", "value": one.transpose(HWIO)[..., 0]},
        {"name": "conv1_bias", "value": BIAS[:1, None]},
        {"name": "bn1_mult", "value": BIAS[:, None]}, {"name": "bn1_bias", "value": BIAS[None] + 1},
        {"name": "bn1_moments", "value": MOMENTS}, {"name": "other", "value": DENSE},
    )  # fmt: skip
    layers = structs(
        {"name": "conv1", "type": "dagnn.Conv", "params": cell("conv1_filter", "conv1_bias")},
        {"name": "bn1", "type": "dagnn.BatchNorm",
         "params": cell("bn1_mult", "bn1_bias", "bn1_moments")},
    )  # fmt: skip
    return {"net": {"params": params, "layers": layers, "meta": META}}


DAGNN_ARRAYS = {
    "conv1_filter": CONV[:1], "conv1_bias": BIAS[:1], "bn1_mult": BIAS, "bn1_bias": BIAS + 1,
    "bn1_moments": MOMENTS, "other": DENSE,
}  # fmt: skip


def dagnn73():
    """One param in level 7.3; text is kept as numbers of characters, here as floats."""
    import h5py

    stream = io.BytesIO()
    with h5py.File(stream, "w", userblock_size=512) as file:
        file["net/params/name"] = np.float32([[ord(letter) for letter in "conv1_filter"]])
        file["net/params/name"].attrs["MATLAB_class"] = np.bytes_("char")
        file["net/params/value"] = CONV.transpose(HWIO).T
    head = b"MATLAB 7.3 MAT-file".ljust(124) + struct.pack("<HH", 0x0200, 0x4D49)
    return head + stream.getvalue()[len(head) :]


# --- ONNX and TensorFlow ----------------------------------------------------------------------


def onnx_model(nodes=(), tensors=(), inputs=(), sparse=()):
    from onnx import helper

    graph = helper.make_graph(list(nodes), "g", list(inputs), [], list(tensors))
    graph.sparse_initializer.extend(sparse)
    return helper.make_model(graph, producer_name="test").SerializeToString()


def onnx_sample():
    from onnx import helper, numpy_helper

    tensors = [
        numpy_helper.from_array(array, name)
        for name, array in {
            "conv.weight": CONV,
            "fc.weight": DENSE,
            "mm": DENSE.T,
            "gemm": DENSE.T,
        }.items()
    ]
    constant = helper.make_node("Constant", [], ["bias"], value=numpy_helper.from_array(BIAS))
    return onnx_model([
        constant, helper.make_node("Conv", ["x", "conv.weight", "bias"], ["a"]),
        helper.make_node("Gemm", ["a", "fc.weight"], ["b"], transB=1),
        helper.make_node("Identity", ["mm"], ["alias"]),
        helper.make_node("MatMul", ["b", "alias"], ["c"]),
        helper.make_node("Gemm", ["c", "gemm"], ["d"]),
    ], tensors)  # fmt: skip


ONNX_ARRAYS = {"conv.weight": CONV, "fc.weight": DENSE, "mm": DENSE, "gemm": DENSE, "bias": BIAS}


class Graph:
    """A GraphDef to be filled."""

    def __init__(self):
        from tensorboard.compat.proto.graph_pb2 import GraphDef

        self.graph = GraphDef()

    def constant(self, name, array, **fields):
        """A Const node; by default with raw bytes."""
        kinds = {"float32": 1, "float64": 2, "int32": 3, "float16": 19}
        node = self.graph.node.add(name=name, op="Const")
        tensor = node.attr["value"].tensor
        tensor.dtype = fields.pop("dtype", None) or kinds[str(array.dtype)]
        for n in fields.pop("shape", array.shape):
            tensor.tensor_shape.dim.add(size=n)
        if not fields:
            tensor.tensor_content = array.tobytes()
        for field_name, values in fields.items():
            getattr(tensor, field_name).extend(values)

    def op(self, op, name, *inputs, **flags):
        node = self.graph.node.add(name=name, op=op, input=inputs)
        for flag, value in flags.items():
            if isinstance(value, bytes):
                node.attr[flag].s = value
            else:
                node.attr[flag].b = value

    def bytes(self):
        return self.graph.SerializeToString()


def tensorflow_sample():
    r, s = DEPTHWISE.shape[2:]
    graph = Graph()
    graph.op("Placeholder", "x")
    graph.constant("conv/kernel", np.ascontiguousarray(CONV.transpose(HWIO)))
    graph.op("Identity", "conv/kernel/read", "conv/kernel")
    graph.op("Conv2D", "conv", "x", "conv/kernel/read", data_format=b"NHWC")
    graph.constant("bias", BIAS, float_val=BIAS.tolist())
    depthwise = DEPTHWISE.reshape(3, 2, r, s).transpose(2, 3, 0, 1)
    graph.constant("dw", np.ascontiguousarray(depthwise))
    graph.op("DepthwiseConv2dNative", "dwconv", "conv", "dw")
    graph.constant("fc", np.ascontiguousarray(DENSE.T))
    graph.op("MatMul", "mm", "dwconv", "fc")
    graph.constant("fc_t", DENSE)
    graph.op("MatMul", "mm2", "mm", "fc_t", transpose_b=True)
    graph.constant("ones", np.ones((2, 3), np.float32), float_val=[1.0])
    graph.constant("half", BIAS, dtype=19, half_val=BIAS.astype(np.float16).view("u2").tolist())
    graph.constant("bfloat16", BIAS, dtype=14, half_val=[0x3FC0, 0xC000, 0x7F80, 0])
    graph.constant("shape", np.array([1, -1], np.int32))
    return graph.bytes()


TENSORFLOW_ARRAYS = {
    "conv/kernel": CONV, "bias": BIAS, "dw": DEPTHWISE, "fc": DENSE, "fc_t": DENSE,
    "ones": np.ones((2, 3), np.float32), "half": BIAS.astype(np.float16).astype(np.float32),
    "bfloat16": np.float32([1.5, -2, np.inf, 0]),
}  # fmt: skip

# NumPy arrays in a pickle
PICKLED = {"conv": [CONV, BIAS], "fc": {"weight": DENSE}}
PICKLED_ARRAYS = {"conv.0": CONV, "conv.1": BIAS, "fc.weight": DENSE}


# --- all of them ------------------------------------------------------------------------------


def npz(arrays, compressed=False):
    stream = io.BytesIO()
    (np.savez_compressed if compressed else np.savez)(stream, **arrays)
    return stream.getvalue()


def safetensors_sample():
    from safetensors.numpy import save

    return save(STATE_ARRAYS, {"format": "pt"})


# name -> (ending, what makes the bytes, the arrays that read_weights gives)
SAMPLES = {
    "safetensors": (".safetensors", safetensors_sample, STATE_ARRAYS),
    "npz": (".npz", lambda: npz(STATE_ARRAYS), STATE_ARRAYS),
    "npz compressed": (".npz", lambda: npz(STATE_ARRAYS, True), STATE_ARRAYS),
    "pytorch": (".pth", lambda: torch_zip(STATE), STATE_ARRAYS),
    "pytorch legacy": (".pt", lambda: torch_legacy(STATE), STATE_ARRAYS),
    "keras 2": (".h5", lambda: hdf5(keras2), KERAS2_ARRAYS),
    "keras 3": (".weights.h5", lambda: hdf5(keras3), KERAS3_ARRAYS),
    "caffe": (".caffemodel", lambda: CAFFE, CAFFE_ARRAYS),
    "caffe v1": (".caffemodel", lambda: CAFFE_V1, CAFFE_V1_ARRAYS),
    "simplenn": (".mat", lambda: mat(simplenn()), SIMPLENN_ARRAYS),
    "simplenn compressed": (".mat", lambda: mat(simplenn(), True), SIMPLENN_ARRAYS),
    "dagnn": (".mat", lambda: mat(dagnn()), DAGNN_ARRAYS),
    "dagnn 7.3": (".mat", dagnn73, {"conv1_filter": CONV}),
    "onnx": (".onnx", onnx_sample, ONNX_ARRAYS),
    "tensorflow": (".pb", tensorflow_sample, TENSORFLOW_ARRAYS),
    "pickle": (".pkl", lambda: pickle.dumps(PICKLED, 4), PICKLED_ARRAYS),
    "pickle protocol 2": (".pkl", lambda: pickle.dumps(PICKLED, 2), PICKLED_ARRAYS),
    "pickle protocol 5": (".pkl", lambda: pickle.dumps(PICKLED, 5), PICKLED_ARRAYS),
}


def assert_same(tensors, expected):
    """Names, types, shapes and every element are equal, and the arrays are plain ones."""
    assert sorted(tensors) == sorted(expected)
    for name, array in tensors.items():
        assert type(array) is np.ndarray and array.flags.c_contiguous and array.flags.writeable
        assert array.dtype == expected[name].dtype and array.shape == expected[name].shape, name
        np.testing.assert_array_equal(array, expected[name], name)
