"""The data sets known by name, and how to get them.

Each is some files with their SHA-256, and mirrors that have them. Nothing is used that does not
match its SHA-256 after a download. MNIST's hashes are those of the original files of 1998.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from minidl.data.cache import cache_folder
from minidl.data.download import DownloadError, download
from minidl.errors import DataError, nearest


@dataclass(frozen=True)
class Source:
    """A data set that has a name.

    Args:
        name: what users call it.
        what: one line about it.
        size: bytes to download.
        mirrors: addresses of folders that have the files, in the order to try them.
        files: name and SHA-256 of each file.
        present: names of files (or archives, folders) that show that the data set is there.
    """

    name: str
    what: str
    size: int = 0
    mirrors: tuple[str, ...] = ()
    files: dict[str, str] = field(default_factory=dict)
    present: tuple[str, ...] = ()


IDX_NAMES = tuple(
    f"{part}-{kind}{ending}"
    for part in ("train", "t10k")
    for kind, dims in (("images", 3), ("labels", 1))
    for ending in (
        f"-idx{dims}-ubyte.gz", f"-idx{dims}-ubyte", f".idx{dims}-ubyte.gz", f".idx{dims}-ubyte",
    )
)  # fmt: skip

SOURCES = {
    source.name: source
    for source in (
        Source("digits", "1,797 handwritten digits 32x32 (from 8x8), with scikit-learn"),
        Source(
            "mnist",
            "70,000 handwritten digits 28x28 (LeCun, Cortes, Burges 1998)",
            11_594_722,
            (
                "https://storage.googleapis.com/cvdf-datasets/mnist/",
                "https://ossci-datasets.s3.amazonaws.com/mnist/",
            ),
            {
                "train-images-idx3-ubyte.gz":
                    "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
                "train-labels-idx1-ubyte.gz":
                    "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
                "t10k-images-idx3-ubyte.gz":
                    "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
                "t10k-labels-idx1-ubyte.gz":
                    "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
            },
            IDX_NAMES,
        ),
        Source(
            "fashion-mnist",
            "70,000 pictures of clothes 28x28 (Xiao, Rasul, Vollgraf 2017)",
            30_878_645,
            (
                "https://storage.googleapis.com/tensorflow/tf-keras-datasets/",
                "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
            ),
            {
                "train-images-idx3-ubyte.gz":
                    "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
                "train-labels-idx1-ubyte.gz":
                    "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
                "t10k-images-idx3-ubyte.gz":
                    "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
                "t10k-labels-idx1-ubyte.gz":
                    "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
            },
            IDX_NAMES,
        ),
        Source(
            "cifar10",
            "60,000 photos 32x32 in 10 classes (Krizhevsky 2009)",
            170_052_171,
            ("https://www.cs.toronto.edu/~kriz/",),
            {
                "cifar-10-binary.tar.gz":
                    "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
            },
            (
                "data_batch_1.bin", "test_batch.bin", "data_batch_1", "test_batch",
                "cifar-10-batches-bin", "cifar-10-batches-py", "cifar-10-binary.tar.gz",
                "cifar-10-python.tar.gz", "cifar10-jpeg.tar.xz", "cifar10.tar.xz", "cifar10.zip",
            ),
        ),
    )
}  # fmt: skip


def known_source(name: str, op: str) -> Source:
    """The data set of a name.

    Raises:
        DataError: there is none; names the nearest.
    """
    if not isinstance(name, str) or name not in SOURCES:
        raise DataError(op, "no such data set", {"name": name}, nearest(name, SOURCES))
    return SOURCES[name]


def fetch(name: str, folder: str | Path | None = None, progress: bool = True) -> Path:
    """Download a data set, unless it is there already.

    Args:
        name: "mnist", "fashion-mnist" or "cifar10"; "digits" needs no download.
        folder: where to put the files; by default a folder of that name in the cache folder.
        progress: show a progress bar.

    Returns:
        The folder.

    Raises:
        DataError: no such data set, no network, a download that does not match its SHA-256, or
            a folder that cannot be written.
    """
    source = known_source(name, "fetch")
    target = Path(folder) if folder is not None else cache_folder() / name
    for file, sha256 in source.files.items():
        if not (target / file).is_file():
            download_one(source, file, sha256, target, progress)
    return target


def download_one(source: Source, file: str, sha256: str, target: Path, progress: bool) -> None:
    """Get one file from the first mirror that has it."""
    mirrors = [mirror + file for mirror in source.mirrors]
    try:
        download(mirrors, target / file, sha256, f"{source.name}: {file}", progress)
    except DownloadError as error:
        raise DataError(
            "fetch", f"{source.name} is not on this machine and could not be downloaded",
            {"tried": str(error), "sha256": sha256},
            f"get {file} elsewhere and put it into {target}, or into a folder of your own: "
            "--data-dir DIR, data_dir=, or $MINIDL_DATA",
        ) from None  # fmt: skip
    except OSError as error:
        raise DataError(
            "fetch", f"cannot write ({error.strerror or error})", {"folder": str(target)}
        ) from None
