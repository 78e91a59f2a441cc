"""The part of Caffe's messages that holds weights (src/caffe/proto/caffe.proto of BVLC/caffe).

google.protobuf parses the format from this description. Fields that are not in it (diffs, the
parameters of training) are skipped by their length.

One departure: `data` is a packed list of floats in Caffe, and `repeated bytes` here. On the wire
both are a length and that many bytes, and so the 138 million weights of VGG-16 stay one piece of
memory instead of passing one by one through Python. Of a file that has them unpacked, one by one
on the wire too, the same bytes are parsed once more as BlobOfFloats.
"""

from __future__ import annotations

import functools
from typing import Any

PACKAGE = "minidl.caffe"

# message -> field -> (number, type); "[]" behind a type: repeated; a capital: a message.
MESSAGES = {
    "BlobShape": {"dim": (1, "int64[]")},
    "BlobProto": {
        "num": (1, "int64"), "channels": (2, "int64"), "height": (3, "int64"),
        "width": (4, "int64"), "data": (5, "bytes[]"), "shape": (7, "BlobShape"),
        "double_data": (8, "bytes[]"),
    },
    "BlobOfFloats": {"data": (5, "float[]"), "double_data": (8, "double[]")},
    "ConvolutionParameter": {"group": (5, "uint32")},
    "InnerProductParameter": {"transpose": (6, "bool")},
    "BatchNormParameter": {"eps": (3, "float")},
    "TransformationParameter": {
        "scale": (1, "float"), "mean_file": (4, "bytes"), "mean_value": (5, "float[]"),
    },
    "V0LayerParameter": {
        "name": (1, "bytes"), "type": (2, "bytes"), "blobs": (50, "BlobProto[]"),
    },
    "V1LayerParameter": {
        "layer": (1, "V0LayerParameter"), "name": (4, "bytes"), "type": (5, "int32"),
        "blobs": (6, "BlobProto[]"), "transform_param": (36, "TransformationParameter"),
    },
    "LayerParameter": {
        "name": (1, "bytes"), "type": (2, "bytes"), "blobs": (7, "BlobProto[]"),
        "transform_param": (100, "TransformationParameter"),
        "inner_product_param": (117, "InnerProductParameter"),
        "batch_norm_param": (139, "BatchNormParameter"),
    },
    "NetParameter": {
        "name": (1, "bytes"), "layers": (2, "V1LayerParameter[]"),
        "layer": (100, "LayerParameter[]"),
    },
}  # fmt: skip

# The numbers of V1LayerParameter.LayerType for the layers that have weights.
V1_TYPES = {4: "Convolution", 14: "InnerProduct", 39: "Deconvolution"}
# V0LayerParameter's names of them.
V0_TYPES = {"conv": "Convolution", "innerproduct": "InnerProduct"}


@functools.cache
def message_class(name: str) -> Any:
    """The class of a message, made by google.protobuf."""
    from google.protobuf import descriptor_pool, message_factory

    pool = descriptor_pool.DescriptorPool()  # of our own: other packages may know Caffe, too
    pool.AddSerializedFile(describe().SerializeToString())
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{PACKAGE}.{name}"))


def describe() -> Any:
    """MESSAGES in protobuf's own terms."""
    from google.protobuf.descriptor_pb2 import FieldDescriptorProto, FileDescriptorProto

    file = FileDescriptorProto(name="minidl/caffe.proto", package=PACKAGE, syntax="proto2")
    for message, fields in MESSAGES.items():
        described = file.message_type.add(name=message)
        for field, (number, kind) in fields.items():
            repeated, kind = kind.endswith("[]"), kind.removesuffix("[]")
            added = described.field.add(name=field, number=number)
            added.label = added.LABEL_REPEATED if repeated else added.LABEL_OPTIONAL
            if kind[0].isupper():
                added.type, added.type_name = added.TYPE_MESSAGE, f".{PACKAGE}.{kind}"
            else:
                added.type = getattr(FieldDescriptorProto, f"TYPE_{kind.upper()}")
    return file
