"""Batches for the text encoder and for the two networks.

All that is random in a batch, noise included, is drawn here from (seed, epoch, first picture of the
batch). So a step is a function of its batch and the weights, and a run that goes on in the middle
of an epoch makes the same steps.
"""

from __future__ import annotations

from typing import Any, cast

import numpy as np

from apps.draw.changes import some_changes
from apps.draw.data import Pairs
from apps.draw.texts import forgotten
from minidl.data import DataLoader, Dataset
from minidl.errors import DataError
from minidl.tensor import Tensor

# First word of a seed: what the numbers are for.
MATCHING, PLAYING = 11, 12
TRIES = 20  # to find a wrong caption


class PairLoader(DataLoader):
    """Batches of pairs in another order in each epoch; a last one that is smaller is left out.

    Args:
        pairs: pictures with captions.
        batch_size, seed, workers: as of DataLoader.

    Raises:
        DataError: there are fewer pictures than a batch has.
    """

    purpose = 0

    def __init__(self, pairs: Pairs, batch_size: int, seed: int, workers: int):
        check_enough(pairs, batch_size)
        items = cast(Dataset, pairs)  # the loader needs their length alone: prepare is of here
        super().__init__(
            items, batch_size, shuffle=True, seed=seed, num_workers=workers, drop_last=True
        )
        self.pairs = pairs

    def random(self, indices: np.ndarray, epoch: int) -> np.random.Generator:
        """The random numbers of a batch, which its first picture names."""
        return np.random.default_rng([self.purpose, self.seed, epoch, int(indices[0])])


def check_enough(pairs: Pairs, batch_size: int) -> None:
    """There are pictures for a batch.

    Raises:
        DataError
    """
    if len(pairs) < batch_size:
        raise DataError(
            "data", "there are fewer pictures than a batch has",
            {"pictures": len(pairs), "--batch-size": batch_size},
            f"--batch-size {max(2, len(pairs))}, or more pictures",
        )  # fmt: skip


class MatchingBatches(PairLoader):
    """Pictures and captions, each pair of another class, for the text encoder.

    Batches are ((pictures, numbers, lengths), None).

    Args:
        numbers: of all captions, int64 (captions, longest).
        lengths: of all captions, int64 (captions,).
        size: pixels of a picture; smaller than on disk: a part is cut.
        near_share: share of the pairs that are neighbours of others.
        word_dropout: share of the words that are read as unknown; 0 where numbers are of letters.
    """

    purpose = MATCHING

    def __init__(
        self, pairs: Pairs, batch_size: int, seed: int, workers: int, numbers: np.ndarray,
        lengths: np.ndarray, size: int, near_share: float = 0.5, word_dropout: float = 0.0,
    ):  # fmt: skip
        super().__init__(pairs, min(batch_size, len(pairs)), seed, workers)
        self.numbers, self.lengths, self.size = numbers, lengths, size
        self.near_share = near_share if pairs.neighbours is not None else 0.0
        self.word_dropout = word_dropout

    def prepare(self, indices: np.ndarray, epoch: int) -> tuple[Any, None]:
        random, pairs = self.random(indices, epoch), self.pairs
        classes = pairs.classes[indices]
        near = int(len(indices) * self.near_share)  # the last ones become neighbours of the first
        if near:
            others = pairs.other_class(classes[:near], random, near_share=1.0)
            classes = np.concatenate([classes[: len(classes) - near], others])
        _, first = np.unique(classes, return_index=True)
        chosen = pairs.members.pick(classes[np.sort(first)], random)
        texts = pairs.captions.pick(chosen, random)
        lengths = self.lengths[texts]
        numbers = self.numbers[texts, : max(1, lengths.max())]
        pictures = as_pictures(cut(pairs.pictures[chosen], self.size, random, flips=False))
        if self.word_dropout:
            numbers = forgotten(numbers, lengths, self.word_dropout, random)
        return (pictures, Tensor(numbers), Tensor(lengths)), None


class PlayingBatches(PairLoader):
    """What the two networks need for a step, see step.py; batches are (dict of Tensors, None).

        pictures, text     real ones, and the embeddings of their captions
        wrong              embeddings of captions of other classes, with cls
        drawn_text, noise  for what the discriminator gets from the generator
        new_text, new_noise       for the generator's own step; with int half as much noise again
        between            with int: the order that says which two texts a point lies between
        real_moves, ...    how real, drawn and new pictures are changed, see changes.py

    Args:
        embeddings: of all captions, float32 (captions, D).
        settings: of the run.
    """

    purpose = PLAYING

    def __init__(self, pairs: Pairs, embeddings: np.ndarray, settings: Any):
        super().__init__(pairs, settings.batch_size, settings.seed, settings.workers)
        self.embeddings, self.settings = embeddings, settings

    def prepare(self, indices: np.ndarray, epoch: int) -> tuple[dict[str, Tensor], None]:
        random, settings, n = self.random(indices, epoch), self.settings, len(indices)
        pixels = self.pairs.pictures[indices]
        pixels = cut(pixels, settings.size, random, flips=settings.augment != "none")
        batch = {"pictures": as_pictures(pixels)}
        drawn_anew = n + n // 2 if settings.has_between else n
        batch |= {"noise": self.noise(n, random), "new_noise": self.noise(drawn_anew, random)}
        for which, count in (("real", n), ("drawn", n), ("new", drawn_anew)):
            batch |= some_changes(settings.changes, which, count, settings.size, random)
        if not settings.is_conditional:
            return batch, None
        batch["text"] = Tensor(self.text(indices, random))
        batch["drawn_text"] = Tensor(self.text(indices, random))
        new = random.integers(0, len(self.pairs), n)
        batch["new_text"] = Tensor(self.text(new, random))
        if settings.has_wrong:
            batch["wrong"] = Tensor(self.embeddings[self.wrong(indices, random)].mean(0))
        if settings.has_between:
            batch["between"] = Tensor(random.permutation(n))
        return batch, None

    def text(self, pictures: np.ndarray, random: np.random.Generator) -> np.ndarray:
        """Embeddings of pictures: each the mean over some captions of the picture."""
        return self.embeddings[self.some_captions(pictures, random)].mean(0)

    def some_captions(self, pictures: np.ndarray, random: np.random.Generator) -> np.ndarray:
        """Numbers of captions of each picture, (captions averaged, N)."""
        count = self.settings.captions
        return np.stack([self.pairs.captions.pick(pictures, random) for _ in range(count)])

    def wrong(self, pictures: np.ndarray, random: np.random.Generator) -> np.ndarray:
        """Numbers of captions of pictures of other classes, (captions averaged, N).

        Captions may occur in several classes: one that is the picture's own as well is drawn again,
        and stays where TRIES find no other.
        """
        pairs, left = self.pairs, np.arange(len(pictures))
        found = np.zeros((self.settings.captions, len(pictures)), np.int64)
        for _ in range(TRIES):
            near_share = self.settings.near_share
            other = pairs.other_class(pairs.classes[pictures[left]], random, near_share)
            found[:, left] = self.some_captions(pairs.members.pick(other, random), random)
            own = [pairs.captions.have(pictures[left], some) for some in found[:, left]]
            left = left[np.any(own, 0)]
            if not len(left):
                break
        return found

    def noise(self, n: int, random: np.random.Generator) -> Tensor:
        return Tensor(random.standard_normal((n, self.settings.noise), np.float32))


def cut(pixels: np.ndarray, size: int, random: np.random.Generator, flips: bool) -> np.ndarray:
    """Random parts of pictures, mirrored or not.

    Args:
        pixels: uint8 (N, H, W, 3), H = W >= size.
        size: of the parts.
        random: where the choice comes from.
        flips: whether half of them are mirrored.
    """
    room = pixels.shape[1] - size
    if room:
        top, left = random.integers(0, room + 1, (2, len(pixels)))
        pixels = np.stack([one[t : t + size, l : l + size] for one, t, l in zip(pixels, top, left)])
    if flips:
        mirrored = random.random(len(pixels)) < 0.5
        pixels = np.where(mirrored[:, None, None, None], pixels[:, :, ::-1], pixels)
    return pixels


def middle(pixels: np.ndarray, size: int) -> np.ndarray:
    """The middle of pictures, uint8 (N, size, size, 3)."""
    edge = (pixels.shape[1] - size) // 2
    return pixels[:, edge : edge + size, edge : edge + size]


def shrunk(pictures: np.ndarray, size: int) -> np.ndarray:
    """Pictures in the size of those that the picture encoder learned from: means of pixels.

    Args:
        pictures: uint8 (N, S, S, 3), S a multiple of the size.
        size: of the result.
    """
    n, times = len(pictures), pictures.shape[1] // size
    means = pictures.reshape(n, size, times, size, times, 3).mean((2, 4))
    return np.round(means).astype(np.uint8)


def as_pictures(pixels: np.ndarray) -> Tensor:
    """uint8 (N, H, W, 3) as a Tensor (N, 3, H, W) from -1 to 1, channels last in memory."""
    return Tensor((pixels.astype(np.float32) / 127.5 - 1).transpose(0, 3, 1, 2))


def as_pixels(pictures: Tensor) -> np.ndarray:
    """(N, 3, H, W) from -1 to 1 as uint8 (N, H, W, 3)."""
    values = np.clip((pictures.numpy() + 1) * 127.5, 0, 255)
    return np.round(values).astype(np.uint8).transpose(0, 2, 3, 1)
