"""The features that the frozen part of a network makes of each picture, computed once.

    picture -> [ frozen layers ] -> features -> [ layers that learn ] -> scores
               once for each        a file in     every epoch
               picture              the run folder

With a frozen VGG-16 all but a hundredth of the arithmetic is in the first part. The file is read
as it is needed (np.memmap), so it may be larger than memory. It stays in the run folder until the
run has finished: a resumed run uses it again, if weights, pictures and preprocessing are the same.

Features of a file equal those computed anew up to rounding, not bit for bit: they were computed in
batches of another size, and the sums in a matrix product are rounded in another order then.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import minidl
from apps.shared.batches import evaluation_loader
from apps.shared.chain import tail
from apps.shared.cut import BehindFrozenPart, NotCached, find_cut, run_layers
from minidl.data import DataLoader, Dataset, transforms
from minidl.io.atomic import write_atomically
from minidl.kernels import settings
from minidl.nn import Module
from minidl.tensor import Tensor

FOLDER = "features"  # in the run folder
INDEX = "index.json"
SPARE = 1 << 30  # bytes of the disk that are left free for checkpoints and everything else


class FeatureLoader(DataLoader):
    """A DataLoader that yields features in place of pictures while it has them.

    Args:
        features: float32 (N, ...) in the order of the data set, channels last as in all batches;
            None for the pictures. The other arguments are those of DataLoader.
    """

    def __init__(self, *arguments: Any, features: np.ndarray | None = None, **options: Any):
        super().__init__(*arguments, **options)
        self.features, self.all_labels = features, self.dataset.labels

    def prepare(self, indices: np.ndarray, epoch: int) -> tuple[Tensor, Tensor]:
        if self.features is None:
            return super().prepare(indices, epoch)
        x = np.array(self.features[indices])
        return Tensor(x.transpose(0, 3, 1, 2) if x.ndim == 4 else x), Tensor(
            self.all_labels[indices]
        )


class FeatureFiles:
    """Files with the features of several sets of pictures.

    Args:
        front: name and module of each layer that makes them, in order.
        x: a batch of pictures as these layers take it, one is enough.
        parts: name -> pictures, such as {"train": ..., "validation": ...}.
        preprocessing: what they go through before the network, the same in every epoch.
        folder: of the run.

    Attributes:
        place: the layer behind which the features are.
        shape: of the features of one picture, channels last.
        bytes: of all files together.
    """

    def __init__(
        self, front: list[tuple[str, Module]], x: Tensor, parts: dict[str, Dataset],
        preprocessing: transforms.Compose, folder: Path,
    ):  # fmt: skip
        self.front, self.parts, self.preprocessing = front, parts, preprocessing
        self.folder = folder / FOLDER
        self.place = front[-1][0]
        self.shape = stored(self.run(x).data).shape[1:]
        self.count = sum(len(dataset) for dataset in parts.values())
        self.bytes = 4 * self.count * int(np.prod(self.shape))

    def run(self, x: Tensor) -> Tensor:
        """What the layers make of a batch, in evaluation mode."""
        modules = [module.eval() for _, module in self.front]
        with minidl.no_grad():
            return run_layers(modules, x)

    def compute(self, workers: int, log: Callable[[str], None]) -> None:
        """Fill the files, unless they are there already.

        Args:
            workers: threads that prepare pictures.
            log: called with a line for the user before and after.

        Raises:
            NotCached: the disk is too small. Files of another network or other pictures are gone.
        """
        key = self.key()
        what = f"features behind {self.place} ({in_words(self.bytes)})"
        if self.load(key):
            log(f"{what}: there already")
            return
        self.remove()
        self.check_room()
        log(f"computing the {what} of {self.count:,} pictures, this once")
        started = time.perf_counter()
        try:
            self.folder.mkdir(exist_ok=True)
            for name, dataset in self.parts.items():
                self.write(self.folder / f"{name}.npy", dataset, workers)
            content = json.dumps({"key": key, "behind": self.place}) + "\n"
            write_atomically(self.folder / INDEX, content.encode(), "feature cache")
        except BaseException:
            self.remove()
            raise
        log(f"computed in {time.perf_counter() - started:.0f} s")

    def check_room(self) -> None:
        """The disk has room for the features and for what else a run writes."""
        free = shutil.disk_usage(self.folder.parent).free - SPARE
        if self.bytes > free:
            raise NotCached(
                f"the features would take {in_words(self.bytes)}, the disk has room for "
                f"{in_words(max(free, 0))}"
            )

    def write(self, path: Path, dataset: Dataset, workers: int) -> None:
        """Write the features of a data set, batch by batch, as .npy."""
        header = {"descr": "<f4", "fortran_order": False, "shape": (len(dataset), *self.shape)}
        with open(path, "wb") as file:
            np.lib.format.write_array_header_1_0(file, header)
            loader = evaluation_loader(dataset, self.preprocessing, workers)
            for x, _ in with_progress(loader):
                file.write(np.ascontiguousarray(stored(self.run(x).data)).tobytes())

    def key(self) -> str:
        """A hash of all that the features depend on: weights, pictures, preprocessing, kernels."""
        digest = hashlib.sha256()
        for layer, module in self.front:
            for name, tensor in module.state_dict().items():
                digest.update(f"{layer}.{name} {tensor.shape}".encode())
                digest.update(np.ascontiguousarray(tensor.data).data)
        facts = {
            "pictures": {name: fingerprint(part) for name, part in self.parts.items()},
            "preprocessing": self.preprocessing.config(),
            "behind": self.place,
            "kernels": minidl.cpu_kernels(),
            "exact convolutions": settings.exact_conv,
        }
        digest.update(json.dumps(facts).encode())
        return digest.hexdigest()

    def load(self, key: str) -> bool:
        """Whether the files are there, whole, and of this key."""
        try:
            index = json.loads((self.folder / INDEX).read_bytes())
            arrays = {name: self.array(name) for name in self.parts}
        except (OSError, ValueError):
            return False
        shapes = [(len(part), *self.shape) for part in self.parts.values()]
        whole = [array.shape for array in arrays.values()] == shapes
        return whole and isinstance(index, dict) and index.get("key") == key

    def array(self, name: str) -> np.ndarray:
        """The features of a part, on disk until used."""
        return np.load(self.folder / f"{name}.npy", mmap_mode="r", allow_pickle=False)

    def remove(self) -> None:
        """Delete the files."""
        remove_features(self.folder.parent)


class FeatureCache(FeatureFiles):
    """Features of several sets of pictures, and a network that begins behind them.

    Args:
        model: parameters that do not learn now have requires_grad False.
        parts, preprocessing, x, folder: as of FeatureFiles.

    Attributes:
        model: the network behind the frozen part, for fit.

    Raises:
        NotCached: the network cannot be cut.
    """

    def __init__(
        self,
        model: Module,
        parts: dict[str, Dataset],
        preprocessing: transforms.Compose,
        x: Tensor,
        folder: Path,
    ):
        chain = tail(model, x)
        cut = find_cut(chain, model, x)
        front = [(call.name, call.module) for call in chain[:cut]]
        super().__init__(front, x, parts, preprocessing, folder)
        self.model = BehindFrozenPart(model, [call.module for call in chain[cut:]])
        self.loaders: list[FeatureLoader] = []

    @property
    def in_use(self) -> bool:
        return self.model.takes_features

    def enter(self, **loaders: FeatureLoader | None) -> None:
        """Let these loaders yield features, and the model take them.

        Args:
            loaders: of the parts, by their names; None for a part that is not there.
        """
        self.loaders = [loader for loader in loaders.values() if loader is not None]
        for name, loader in loaders.items():
            if loader is not None:
                loader.features = self.array(name)
        self.model.takes_features = True

    def leave(self) -> None:
        """Let the loaders yield pictures again, and the model take them."""
        for loader in self.loaders:
            loader.features = None
        self.model.takes_features = False


def remove_features(folder: Path) -> None:
    """Delete the features in the folder of a run, if there are any."""
    shutil.rmtree(folder / FOLDER, ignore_errors=True)


def stored(features: Any) -> Any:
    """Maps (N, C, H, W) with channels last, as the network computes them; vectors as they are."""
    return features.transpose(0, 2, 3, 1) if features.ndim == 4 else features


def fingerprint(dataset: Dataset) -> str:
    """A hash of names (or the number of unnamed pictures), labels, and a stamp of each picture."""
    names = dataset.names or [str(len(dataset))]
    digest = hashlib.sha256("\n".join(names).encode("utf-8", "surrogateescape"))
    digest.update(dataset.labels.tobytes())
    for i in range(len(dataset)):
        digest.update(f"\n{dataset.stamp(i)}".encode())
    return digest.hexdigest()


def in_words(count: int) -> str:
    """Bytes in GB, MB or kB."""
    unit, name = next(
        ((unit, name) for unit, name in ((1e9, "GB"), (1e6, "MB")) if count >= unit), (1e3, "kB")
    )
    return f"{count / unit:.1f} {name}"


def with_progress(loader: DataLoader) -> Any:
    """The batches, with a bar on a terminal."""
    from rich.console import Console
    from rich.progress import track

    console = Console(stderr=True)
    if not console.is_terminal:
        return loader
    return track(loader, "features", total=len(loader), console=console, transient=True)
