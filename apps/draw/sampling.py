"""Draws pictures for sentences with a trained generator.

It comes from a run folder (the average of its generator as the checkpoint has it), from a file
generator.safetensors, or, by its name, from the install.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import minidl
from apps.draw.batches import as_pixels
from apps.draw.embeddings import embed
from apps.draw.networks import GENERATOR, TEXT, make_generator, make_text_encoder
from apps.draw.run import KIND, RUN_KIND
from apps.draw.settings import Settings
from apps.draw.texts import Words, reader_from
from apps.shared.options import stored_values, to_dict
from apps.shared.packaged import packaged_file, without_folders
from apps.shared.run_folder import find_checkpoint
from minidl.errors import CheckpointError, MinidlError
from minidl.nn import Module, ModuleDict
from minidl.tensor import Tensor

OP = "draw"
AT_ONCE = 64  # pictures


@dataclass
class Artist:
    """A generator, and what makes its embeddings of sentences.

    Args:
        generator: in evaluation mode.
        text: the text encoder; None of a plain GAN, which knows no sentences.
        reader: makes numbers of sentences; None likewise.
        settings: of the training.
        meta: everything else that was kept.
    """

    generator: Module
    text: Module | None
    reader: Words | None
    settings: Settings
    meta: dict[str, Any]

    def unknown(self, texts: Sequence[str]) -> list[str]:
        """Words or letters of sentences that the training never saw."""
        if self.reader is None:
            return []
        return list(dict.fromkeys(p for text in texts for p in self.reader.unknown(text)))

    def embed(self, texts: Sequence[str]) -> np.ndarray | None:
        """Embeddings of sentences, (N, D); None of a plain GAN."""
        if self.text is None or self.reader is None:
            return None
        return embed(self.text, self.reader, texts)

    def noise(self, n: int, seed: int) -> np.ndarray:
        """Noise for n pictures, float32 (n, numbers)."""
        random = np.random.default_rng(seed)
        return random.standard_normal((n, self.settings.noise), np.float32)

    def draw(self, embeddings: np.ndarray | None, noise: np.ndarray) -> np.ndarray:
        """Pictures, uint8 (N, S, S, 3).

        Args:
            embeddings: (N, D) from embed.
            noise: (N, numbers).
        """
        return draw(self.generator, embeddings, noise)


def draw(generator: Module, embeddings: np.ndarray | None, noise: np.ndarray) -> np.ndarray:
    """Pictures by a generator in evaluation mode; see Artist.draw."""
    found = []
    with minidl.no_grad():
        for first in range(0, len(noise), AT_ONCE):
            part = slice(first, first + AT_ONCE)
            text = None if embeddings is None else Tensor(embeddings[part])
            found.append(as_pixels(generator(Tensor(noise[part]), text)))
    return np.concatenate(found)


def load_artist(source: str) -> Artist:
    """A generator by the path of a run folder or file, or by its name.

    Raises:
        CheckpointError: none there, damaged, or of something else.
    """
    path = packaged_file(source, [KIND]) or find_checkpoint(source)
    checkpoint = minidl.io.load_checkpoint(path)
    meta = checkpoint.meta
    if meta.get("kind") not in (KIND, RUN_KIND):
        raise CheckpointError(
            OP, "the file is not one of minidl draw train", {"path": str(path)},
            "a run of minidl train is for minidl predict" if "model" in meta else "",
        )  # fmt: skip
    try:
        settings = Settings(**stored_values(Settings, meta.get("settings")))
    except CheckpointError:
        rule = "the file is of another version of minidl draw"
        raise CheckpointError(OP, rule, {"path": str(path)}, "train again") from None
    parts = drawing_parts(settings, meta)
    values = checkpoint.model if meta["kind"] == KIND else averaged(checkpoint)
    try:
        parts.load_state_dict({n: v for n, v in values.items() if n in parts.state_dict()})
    except (MinidlError, LookupError) as error:
        raise CheckpointError(
            OP, "vocabulary, settings and weights do not belong together",
            {"path": str(path), "reason": getattr(error, "rule", str(error))},
            "is the file of another version?",
        ) from None  # fmt: skip
    return artist_of(parts, settings, meta)


def averaged(checkpoint: Any) -> dict[str, Tensor]:
    """The weights of a run's checkpoint, with the average in place of the generator's own."""
    average = checkpoint.run["callbacks"]["AverageWeights"]["weights"]
    return checkpoint.model | {f"{GENERATOR}.{name}": value for name, value in average.items()}


def drawing_parts(settings: Settings, meta: dict[str, Any]) -> ModuleDict:
    """What is needed to draw, with fresh weights: the generator, and the text encoder."""
    parts: dict[str, Module] = {GENERATOR: make_generator(settings)}
    if settings.is_conditional:
        parts[TEXT] = make_text_encoder(reader_from(meta.get("reader")), settings.embedding)
    return ModuleDict(parts)


def artist_of(parts: ModuleDict, settings: Settings, meta: dict[str, Any]) -> Artist:
    """An artist of networks with their weights."""
    text = parts[TEXT] if TEXT in parts else None
    reader = reader_from(meta.get("reader")) if text is not None else None
    return Artist(parts[GENERATOR].eval(), text, reader, settings, meta)


def save_artist(path: Path, artist: Artist) -> None:
    """Write what draws as float16, half as large and for pictures as good.

    Raises:
        CheckpointError: the file cannot be written.
    """
    parts = drawing_parts(artist.settings, artist.meta)
    parts[GENERATOR].load_state_dict(artist.generator.state_dict())
    if artist.text is not None:
        parts[TEXT].load_state_dict(artist.text.state_dict())
    meta = {
        "kind": KIND,
        "settings": without_folders(to_dict(artist.settings), ("data", "data_dir", "text_encoder")),
        "reader": artist.meta.get("reader"), "steps": artist.meta.get("steps"),
        "figures": artist.meta.get("figures"),
    }  # fmt: skip
    minidl.io.save_checkpoint(path, parts.to(dtype="float16"), meta=meta)
