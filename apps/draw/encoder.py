"""Phase 1: a text encoder learns which caption belongs to which picture, beside a small CNN.

    caption -> text encoder    -> t     scores v_i . t_j of all pairs of a batch: the own caption of
    picture -> picture encoder -> v     a picture leads by 1, and the own picture of a caption

That is the symmetric structured embedding of Reed et al. 2016b (matching.py). It is a run of its
own in the folder encoder/, with checkpoints of its own; the picture encoder serves R-precision.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import minidl
from apps.draw.batches import MatchingBatches, as_pictures, middle, shrunk
from apps.draw.data import Pairs
from apps.draw.embeddings import embed
from apps.draw.matching import matching_loss
from apps.draw.networks import make_text_encoder
from apps.draw.run import ENCODER, ENCODER_KIND
from apps.draw.schedule import encoder_schedule
from apps.draw.settings import Settings
from apps.draw.texts import READERS, Words, reader_from
from apps.shared.callbacks import standard_callbacks
from apps.shared.options import OptionError, to_dict
from apps.shared.run_folder import CHECKPOINT
from minidl import nn, optim
from minidl.errors import CheckpointError, DataError, MinidlError
from minidl.tensor import Tensor
from models.picture_encoder import PictureEncoder

CLIP = 5.0  # largest norm of the gradients
AT_ONCE = 256  # pictures


class Matching(nn.Module):
    """Both encoders.

    Shapes: (N, 3, S, S), int64 (N, L), int64 (N,) -> (N, D), (N, D).
    """

    def __init__(self, text: nn.Module, picture: nn.Module):
        super().__init__()
        self.text, self.picture = text, picture

    def forward(self, pictures: Tensor, numbers: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        return self.picture(pictures), self.text(numbers, lengths)


@dataclass
class Encoders:
    """What phase 1 leaves behind.

    Args:
        reader: makes numbers of captions.
        matching: both encoders, in evaluation mode.
        size: pixels of a picture.
        history: of the run, a dict per epoch.
    """

    reader: Words
    matching: Matching
    size: int
    history: list[dict[str, Any]]

    def of_texts(self, texts: list[str]) -> np.ndarray:
        """float32 (N, D)."""
        return embed(self.matching.text, self.reader, texts)

    def of_pictures(self, pictures: np.ndarray) -> np.ndarray:
        """uint8 (N, S, S, 3), S a multiple of the size -> float32 (N, D)."""
        pictures = shrunk(pictures, self.size)
        with minidl.no_grad():
            found = [
                self.matching.picture(as_pictures(pictures[first : first + AT_ONCE])).numpy()
                for first in range(0, len(pictures), AT_ONCE)
            ]
        return np.concatenate(found)


def train_encoder(
    settings: Settings, pairs: Pairs, folder: Path, log: Callable[[str], None]
) -> Encoders:
    """Train the text encoder, or go on with it, or find it finished.

    Args:
        settings: of the run.
        pairs: what it learns from.
        folder: of the run.
        log: called with lines for the user.
    """
    reader = READERS[settings.encoder].of(pairs.texts)
    check_readable(reader, pairs)
    minidl.manual_seed(settings.seed)
    matching = make_matching(reader, settings.embedding, settings.size)
    numbers, lengths = reader.encode(pairs.texts)
    loader = MatchingBatches(
        pairs, settings.encoder_batch, settings.seed, settings.workers, numbers, lengths,
        settings.size, word_dropout=settings.word_dropout,
    )  # fmt: skip
    epochs = settings.encoder_epochs
    assert epochs is not None, "the settings are completed"
    kind = optim.RMSprop if settings.encoder == "char-cnn-rnn" else optim.Adam
    optimizer = kind(matching.parameters(), lr=settings.encoder_lr)
    schedule = encoder_schedule(optimizer, epochs * len(loader))
    meta = description(reader, settings.embedding, settings.size, epochs, settings, pairs)
    callbacks = standard_callbacks(folder / ENCODER, meta, None, None, CLIP, schedule)
    checkpoint = folder / ENCODER / CHECKPOINT
    begun = checkpoint.exists()
    if not begun:
        log(f"text encoder: {len(pairs.texts):,} captions, {epochs} epochs of {len(loader)} steps")
    history = minidl.fit(
        matching,
        loader,
        loss_of_outputs,
        optimizer,
        epochs,
        callbacks=callbacks,
        metrics={},
        resume=checkpoint if begun else None,
    )
    matching.eval()
    return Encoders(reader, matching, settings.size, history)


def check_readable(reader: Words, pairs: Pairs) -> None:
    """Each caption says something to the reader.

    Raises:
        DataError
    """
    silent = [text for text in pairs.texts if not reader.parts(text)]
    if silent:
        raise DataError(
            "data", f"captions are without a {reader.unit}",
            {"how many": len(silent), "the first": silent[0]},
            "leave them out of the data; or --encoder char-cnn-rnn reads letters and signs",
        )  # fmt: skip


def description(
    reader: Words, embedding: int, size: int, epochs: int, settings: Settings, pairs: Pairs
) -> dict[str, Any]:
    """What the checkpoint holds beside the weights.

    Args:
        reader: makes numbers of captions.
        embedding, size: of the encoders: numbers of an embedding, pixels of a picture.
        epochs: how many they learn for.
        settings: of the run that they are part of.
        pairs: that the run learns from.
    """
    return {
        "kind": ENCODER_KIND, "reader": reader.config(), "embedding": embedding, "size": size,
        "epochs": epochs, "settings": to_dict(settings), **pairs.facts,
    }  # fmt: skip


def take_over_encoders(other: Path, settings: Settings, folder: Path, pairs: Pairs) -> Encoders:
    """The text encoder of another run, copied into the folder of this one unless it is there.

    Args:
        other: folder of that run.
        settings, folder: of this run.
        pairs: that this run learns from.

    Raises:
        CheckpointError: the other run has none that is trained to its end.
        OptionError: it is the same folder, or the encoder learned from larger pictures.
    """
    target = folder / ENCODER / CHECKPOINT
    if other.resolve() == folder.resolve():
        raise OptionError("a run cannot take its own text encoder", {"--text-encoder": str(other)})
    if target.exists():
        return load_encoders(folder)
    found = load_encoders(other)
    check_readable(found.reader, pairs)
    if settings.size % found.size:
        raise OptionError(
            "the text encoder learned from larger pictures",
            {"--size": settings.size, "--text-encoder": str(other)}, f"--size {found.size}",
        )  # fmt: skip
    embedding = found.matching.text.out_features
    meta = description(found.reader, embedding, found.size, len(found.history), settings, pairs)
    target.parent.mkdir(exist_ok=True)
    run = {"history": found.history}
    minidl.io.save_checkpoint(target, found.matching, run=run, meta=meta)
    return found


def loss_of_outputs(outputs: tuple[Tensor, Tensor], targets: None) -> Tensor:
    """The loss for fit: each pair of a batch is of another class."""
    return matching_loss(*outputs)


def make_matching(reader: Words, embedding: int, size: int) -> Matching:
    """Both encoders with fresh weights."""
    text = make_text_encoder(reader, embedding)
    return Matching(text, PictureEncoder(out=embedding, size=size))


def load_encoders(run: Path) -> Encoders:
    """The encoders of a run.

    Args:
        run: its folder.

    Raises:
        CheckpointError: it has none, or they are damaged, or not trained to the end.
    """
    path = run / ENCODER / CHECKPOINT
    if not path.exists():
        raise CheckpointError(
            "draw", "the folder holds no text encoder", {"run": str(run)},
            "expects the folder of a `minidl draw train` run",
        )  # fmt: skip
    checkpoint = minidl.io.load_checkpoint(path)
    meta, history = checkpoint.meta, checkpoint.run.get("history", [])
    if not {"reader", "embedding", "size", "epochs"} <= set(meta):
        raise CheckpointError(
            "draw", "the file is no text encoder of this version", {"path": str(path)}
        )
    reader = reader_from(meta.get("reader"))
    if len(history) < meta["epochs"]:
        raise CheckpointError(
            "draw", "the text encoder is not trained to its end", {"run": str(run)},
            f"minidl draw train --resume {run}",
        )  # fmt: skip
    matching = make_matching(reader, meta["embedding"], meta["size"])
    try:
        matching.load_state_dict(checkpoint.model)
    except MinidlError as error:
        raise CheckpointError(
            "draw", "vocabulary and text encoder do not belong together",
            {"path": str(path), "reason": error.rule},
        ) from None  # fmt: skip
    matching.eval()
    return Encoders(reader, matching, meta["size"], history)


def retrieval(encoders: Encoders, pairs: Pairs, size: int, at_most: int = 202) -> tuple[float, int]:
    """How often the class of a picture is the one whose captions are nearest to it.

    Args:
        encoders: trained.
        pairs: pictures that they need not have learned from.
        size: of the part of a picture that is looked at, a multiple of the encoder's.
        at_most: how many classes are looked at.

    Returns:
        the share, and of how many classes.
    """
    classes = np.arange(min(at_most, len(pairs.members)))
    texts = [
        [pairs.texts[t] for t in pairs.captions[pairs.members[c][0]]] for c in classes
    ]  # those of a class's first picture
    means = np.stack([encoders.of_texts(some).mean(0) for some in texts])
    chosen = np.flatnonzero(pairs.classes < len(classes))
    pictures = middle(pairs.pictures[chosen], size)
    nearest = (encoders.of_pictures(pictures) @ means.T).argmax(1)
    return float((nearest == pairs.classes[chosen]).mean()), len(classes)
