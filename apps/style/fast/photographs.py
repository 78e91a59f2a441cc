"""Photographs to train on, from several places, and random squares of them.

Each place - a picture file, a folder or an archive with pictures anywhere below it, a data set with
a name, CIFAR-10's batches - is drawn from equally often, however many pictures it has: a few large
photographs and many small ones are worth the same.

A square is as large as can be from `size` pixels up to the shorter side of the photograph, every
size equally probable, and is brought to `size` pixels; a smaller photograph is enlarged. Every
second one is mirrored. Batch n of a seed is the same whatever was drawn before, so a run that goes
on after an interruption sees what it would have seen.

Of every place with so many that it hardly matters (MANY), a twentieth is held out, chosen by the
hash of the names: no step sees them, and they tell how a network does on others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from minidl.data import open_dataset
from minidl.data.archive import is_archive, open_archive
from minidl.data.cifar import cifar_suffix
from minidl.data.dataset import choose_by_hash
from minidl.data.fetch import SOURCES
from minidl.data.files import FileTree, FolderFiles
from minidl.data.pictures import decode_picture, is_picture, read_picture
from minidl.errors import DataError, nearest

OP = "photographs"
ROOM = 512 << 20  # bytes of decoded photographs that are kept
MANY, HELD_OUT = 20, 0.05  # photographs of a place of which some are held out, and their share


@dataclass
class Place:
    """Where photographs are.

    Args:
        location: as typed, for messages.
        names: of the photographs.
        read: number of a photograph -> uint8 (H, W, 3).

    Attributes:
        learned, held_out: numbers of the photographs to train on, and of those that are not.
    """

    location: str
    names: Sequence[str]
    read: Callable[[int], np.ndarray]

    def __post_init__(self) -> None:
        chosen = np.zeros(len(self.names), bool)
        if len(chosen) >= MANY:
            chosen = choose_by_hash(self.names, np.zeros(len(chosen), int), HELD_OUT)
        self.learned, self.held_out = np.flatnonzero(~chosen), np.flatnonzero(chosen)


def open_place(location: str) -> Place:
    """The photographs at one place.

    Args:
        location: path of a file, folder or archive, or the name of a data set.

    Raises:
        DataError: nothing there, or no pictures in it.
    """
    path = Path(location).expanduser()
    if path.is_dir():
        return in_tree(FolderFiles(path, OP), location)
    if path.is_file() and is_archive(path, OP):
        return in_tree(open_archive(path, OP), location)
    if path.is_file():
        picture = read_picture(path, 3)
        return Place(location, [path.name], lambda _: picture)
    if location in SOURCES:
        return in_data_set(location)
    hint = nearest(location, SOURCES)
    raise DataError(OP, "no such file, folder or data set", {"data": location}, hint)


def in_tree(files: FileTree, location: str) -> Place:
    """The pictures anywhere in a folder or archive."""
    if any(cifar_suffix(files.inside(folder)) is not None for folder in ("", *files.folders)):
        return in_data_set(location)
    names = [name for name in files.names if is_picture(name)]
    if not names:
        raise DataError(OP, "no pictures in it", {"data": location})

    def read(number: int) -> np.ndarray:
        name = names[number]
        return decode_picture(files.read(name), files.describe(name), 3)

    return Place(location, names, read)


def in_data_set(location: str) -> Place:
    """The training pictures of a data set."""
    dataset = open_dataset(location, "train")
    names = dataset.names or [str(i) for i in range(len(dataset))]
    return Place(location, names, lambda i: as_colour(dataset[i][0]))


def as_colour(image: np.ndarray) -> np.ndarray:
    return np.repeat(image, 3, axis=2) if image.shape[2] == 1 else image


class Photographs:
    """Photographs at several places, of which batches of random squares are drawn.

    Args:
        locations: at least one, as open_place takes them.
        seed: of the random numbers.
        note: is told of photographs that cannot be read; others take their turns.

    Raises:
        DataError: a place has none.
    """

    def __init__(
        self, locations: list[str], seed: int = 0, note: Callable[[str], None] = lambda text: None
    ):
        self.places = [open_place(location) for location in locations]
        self.seed, self.note = seed, note
        self.kept: dict[tuple[int, int], np.ndarray] = {}
        self.room = ROOM
        self.refused: set[tuple[int, int]] = set()

    def __len__(self) -> int:
        """How many there are to train on."""
        return sum(len(place.learned) for place in self.places)

    @property
    def held_out(self) -> int:
        """How many are held out."""
        return sum(len(place.held_out) for place in self.places)

    def batch(self, number: int, count: int, size: int) -> np.ndarray:
        """Squares of photographs to train on.

        Args:
            number: of the batch; the same number gives the same squares.
            count: how many squares.
            size: height and width in pixels.

        Returns:
            uint8 (count, size, size, 3).

        Raises:
            DataError: a hundred photographs in a row could not be read.
        """
        rng = np.random.default_rng([self.seed, number])
        numbers = [place.learned for place in self.places]
        return np.stack([square(self.draw(rng, numbers), size, rng) for _ in range(count)])

    def unseen(self, count: int, size: int) -> np.ndarray:
        """Squares of photographs that are held out, always the same; of those to train on where
        none is held out. Arguments and result as of batch."""
        numbers = [place.held_out if self.held_out else place.learned for place in self.places]
        rng = np.random.default_rng([self.seed, 0, 1])  # of no batch
        return np.stack([square(self.draw(rng, numbers), size, rng) for _ in range(count)])

    def batches(self, first: int, last: int, count: int, size: int) -> Iterator[np.ndarray]:
        """Batches first to last - 1, each prepared by a thread while the one before is used."""
        with ThreadPoolExecutor(1) as pool:
            coming = pool.submit(self.batch, first, count, size)
            for number in range(first, last):
                batch = coming.result()
                if number + 1 < last:
                    coming = pool.submit(self.batch, number + 1, count, size)
                yield batch

    def draw(self, rng: np.random.Generator, numbers: list[np.ndarray]) -> np.ndarray:
        """A photograph among those with some numbers of each place."""
        places = [at for at, here in enumerate(numbers) if len(here)]
        for _ in range(100):
            at = places[int(rng.integers(len(places)))]
            number = int(numbers[at][rng.integers(len(numbers[at]))])
            try:
                return self.read(at, number)
            except DataError as error:
                if (at, number) not in self.refused:
                    self.refused.add((at, number))
                    self.note(f"left out: {error.text(OP)}")
                last = error
        raise last

    def read(self, at: int, number: int) -> np.ndarray:
        """A photograph, kept in memory while there is room."""
        if (at, number) in self.kept:
            return self.kept[at, number]
        image = self.places[at].read(number)
        if image.nbytes <= self.room:
            self.room -= image.nbytes
            self.kept[at, number] = image
        return image


def square(image: np.ndarray, size: int, rng: np.random.Generator) -> np.ndarray:
    """A random square of a photograph, uint8 (size, size, 3)."""
    from PIL import Image

    height, width = image.shape[:2]
    shorter = min(height, width)
    side = shorter if shorter <= size else int(rng.integers(size, shorter + 1))
    top = int(rng.integers(height - side + 1))
    left = int(rng.integers(width - side + 1))
    part = Image.fromarray(np.ascontiguousarray(image[top : top + side, left : left + side]))
    part = part.resize((size, size), Image.Resampling.BICUBIC)
    pixels = np.asarray(part)
    return pixels[:, ::-1] if rng.random() < 0.5 else pixels


def reduced(images: np.ndarray, scale: int) -> np.ndarray:
    """Photographs as a camera of fewer pixels would see them: blurred, then every scale-th pixel
    (Johnson et al. 2016, section 4.2: a Gaussian of deviation 1, then bicubic).

    Args:
        images: uint8 (N, H, W, 3), H and W multiples of scale.
        scale: how many times smaller.

    Returns:
        uint8 (N, H / scale, W / scale, 3).
    """
    from PIL import Image, ImageFilter

    small = []
    for image in images:
        blurred = Image.fromarray(image).filter(ImageFilter.GaussianBlur(1.0))
        size = blurred.width // scale, blurred.height // scale
        small.append(np.asarray(blurred.resize(size, Image.Resampling.BICUBIC)))
    return np.stack(small)
