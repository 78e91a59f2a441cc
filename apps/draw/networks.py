"""The networks of a run, from its settings.

What a checkpoint holds is one Module: generator, discriminator, and the text encoder, which learns
no more.
"""

from __future__ import annotations

from typing import Any

import models.gan_cls
import models.gan_paarthneekhara
import models.gan_projection
from apps.draw.settings import Settings
from apps.draw.texts import Letters, Words
from minidl.nn import Module, ModuleDict
from models.text_encoder import CharCnnRnn, WordLstm

GENERATOR, DISCRIMINATOR, TEXT = "generator", "discriminator", "text"
HIDDEN = 96  # units of the word LSTM


def make_generator(settings: Settings) -> Module:
    """The generator: (noise, text) -> pictures from -1 to 1; without text of a plain GAN."""
    text = settings.embedding if settings.is_conditional else 0
    if settings.preset == "small":
        return models.gan_projection.Generator(
            settings.ngf, settings.noise, text, size=settings.size
        )
    return networks_of(settings).Generator(settings.ngf, settings.noise, text)


def make_discriminator(settings: Settings) -> Module:
    """The discriminator: (pictures, text) -> scores (N,)."""
    text = settings.embedding if settings.is_conditional else 0
    if settings.preset == "small":
        return models.gan_projection.Discriminator(settings.ndf, text, size=settings.size)
    return networks_of(settings).Discriminator(settings.ndf, text)


def networks_of(settings: Settings) -> Any:
    """The module of models that has the preset's networks."""
    return {"reed": models.gan_cls, "paarthneekhara": models.gan_paarthneekhara}[settings.preset]


def make_text_encoder(reader: Words, embedding: int) -> Module:
    """The text encoder: (numbers, lengths) -> (N, embedding).

    Args:
        reader: what makes numbers of captions, and so decides which encoder.
        embedding: numbers of an embedding.
    """
    if reader.kind == Letters.kind:
        return CharCnnRnn(embedding)
    return WordLstm(len(reader), hidden=HIDDEN, out=embedding)


def make_networks(settings: Settings, text: Module | None) -> ModuleDict:
    """Both networks with fresh weights, and the text encoder where there is one."""
    parts: dict[str, Module] = {
        GENERATOR: make_generator(settings), DISCRIMINATOR: make_discriminator(settings)
    }  # fmt: skip
    return ModuleDict(parts if text is None else parts | {TEXT: text})


def count(module: Module) -> int:
    """How many parameters it has."""
    return sum(parameter.numel() for parameter in module.parameters())
