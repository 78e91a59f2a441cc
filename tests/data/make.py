"""Files in real formats, written by the tests: pictures, idx files, CIFAR batches."""

import gzip
import io
import pickle
import struct
from pathlib import Path

import numpy as np
from PIL import Image

SHARED = Path(__file__).resolve().parents[2].parent / "shared" / "data"  # beside a checkout


def pixels(*shape, seed=0):
    """Random bytes of a shape."""
    return np.random.default_rng([seed, *shape]).integers(0, 256, shape, dtype=np.uint8)


def png(image, **options):
    """A uint8 array (H, W, C) or (H, W) as the bytes of a PNG, which keeps every value."""
    stream = io.BytesIO()
    Image.fromarray(image[:, :, 0] if image.ndim == 3 and image.shape[2] == 1 else image).save(
        stream, "PNG", **options
    )
    return stream.getvalue()


def write(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def idx(array, code=0x08):
    """An array as the content of an idx file."""
    head = struct.pack(f">BBBB{array.ndim}I", 0, 0, code, array.ndim, *array.shape)
    return head + array.astype(array.dtype.newbyteorder(">")).tobytes()


def mnist_files(n_train=20, n_test=8, size=6):
    """Name and content of the four files of a small MNIST."""
    files = {}
    for part, n in (("train", n_train), ("t10k", n_test)):
        labels = (np.arange(n) % 10).astype(np.uint8)
        images = pixels(n, size, size, seed=n)
        files[f"{part}-images-idx3-ubyte.gz"] = gzip.compress(idx(images), mtime=0)
        files[f"{part}-labels-idx1-ubyte.gz"] = gzip.compress(idx(labels), mtime=0)
    return files


def cifar_arrays(batch, n=6):
    """Pixels (n, 3072) and labels of a small batch."""
    return pixels(n, 3072, seed=batch), (np.arange(n) + batch) % 10


def cifar_binary(n=6):
    """Name and content of the binary batches of a small CIFAR-10."""
    files = {}
    for batch in range(1, 7):
        name = f"data_batch_{batch}.bin" if batch < 6 else "test_batch.bin"
        data, labels = cifar_arrays(batch, n)
        files[name] = np.concatenate([labels[:, None].astype(np.uint8), data], 1).tobytes()
    return files


def cifar_python(protocol=2, n=6):
    """Name and content of the Python batches of a small CIFAR-10."""
    files = {}
    for batch in range(1, 7):
        name = f"data_batch_{batch}" if batch < 6 else "test_batch"
        data, labels = cifar_arrays(batch, n)
        content = {b"data": data, b"labels": [int(x) for x in labels], b"batch_label": b"x"}
        files[name] = pickle.dumps(content, protocol)
    return files


def picture_tree(classes=("cat", "dog"), n=5, size=(4, 5), splits=("train", "test")):
    """Name and content of pictures in folders, all different."""
    files = {}
    for s, split in enumerate(splits):
        for c, name in enumerate(classes):
            for i in range(n):
                image = pixels(*size, 3, seed=100 * s + 10 * c + i)
                files[f"{split}/{name}/{i}.png".lstrip("/")] = png(image)
    return files


def write_tree(folder, files):
    for name, content in files.items():
        write(folder / name, content)
    return folder
