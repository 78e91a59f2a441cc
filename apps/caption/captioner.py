"""Says what is on pictures, with a trained network or several.

A network comes from a run folder (of the epoch that the run kept), from a file of the weights alone
(captioner.safetensors), or, by its name, from the package.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

import minidl
from apps.caption.network import network_of, of_network
from apps.caption.search import Caption, beam_search, sample
from apps.caption.settings import Settings
from apps.shared.batches import evaluation_batch
from apps.shared.options import OptionError, stored_values, to_dict
from apps.shared.packaged import packaged_file, without_folders
from apps.shared.trained import kept_checkpoint
from minidl.data import Vocabulary, transforms
from minidl.data.captioned.findings import Plain
from minidl.errors import CheckpointError, MinidlError
from minidl.nn import evaluating, unchanging
from minidl.tensor import Tensor
from models.show_and_tell import ShowAndTell

OP = "caption"
KIND = "captioning"  # of the files, among those that come with minidl
AT_ONCE = 64  # pictures whose sentences are searched together


@dataclass(frozen=True)
class Decoding:
    """How sentences are found.

    Args:
        beam: sentences that beam search goes on with at each word.
        n_best: sentences of a picture; a search gives the most probable first.
        max_words: that a sentence has at most; None for the longest caption of the training.
        alpha: of length normalization: log-probabilities are divided by words^alpha.
        sample: draw each word by its probability, in place of a search.
        temperature: divides the scores then: below 1 the likely words become likelier.
        seed: of what is drawn.
    """

    beam: int = 3
    n_best: int = 1
    max_words: int | None = None
    alpha: float = 0.0
    sample: bool = False
    temperature: float = 1.0
    seed: int = 0

    @classmethod
    def typed(
        cls, beam: int | None, n_best: int, max_words: int | None, alpha: float | None,
        sample: bool = False, temperature: float | None = None, seed: int | None = None,
    ) -> Decoding:  # fmt: skip
        """The decoding that a command's options ask for; None is for one that was not typed.

        Raises:
            OptionError: an option of the search with --sample, one of --sample without it, or a
                temperature that is not above 0.
        """
        of_search = {"--beam": beam, "--length-norm": alpha}
        of_sample = {"--temperature": temperature, "--seed": seed}
        for flag, value in (of_search if sample else of_sample).items():
            if value is not None:
                owner = "the search, which --sample does without" if sample else "--sample"
                raise OptionError(f"{flag} belongs to {owner}", {flag: value})
        if temperature is not None and not 0 < temperature < math.inf:
            rule = "temperature must be a finite number above 0"
            raise OptionError(rule, {"--temperature": temperature})
        typed = {"beam": beam, "alpha": alpha, "temperature": temperature, "seed": seed}
        given = {name: value for name, value in typed.items() if value is not None}
        return cls(n_best=n_best, max_words=max_words, sample=sample, **given)


@dataclass
class Captioner:
    """A network, and what it needs to speak.

    Args:
        net: CNN and LSTM.
        vocabulary: of its words.
        preprocessing: what a picture goes through first.
        max_words: of the longest caption that it learned from.
        settings: of the training.
        meta: everything that its checkpoint holds.
    """

    net: ShowAndTell
    vocabulary: Vocabulary
    preprocessing: transforms.Compose
    max_words: int
    settings: Settings
    meta: dict[str, Any]

    def features(self, pictures: Iterable[np.ndarray]) -> np.ndarray:
        """What the CNN makes of pictures, float32 (N, F).

        Args:
            pictures: uint8 (H, W, 3), of any sizes.
        """
        return self.look(map(self.prepared, pictures))

    def prepared(self, picture: np.ndarray) -> np.ndarray:
        """A picture as the CNN takes it, float32 (S, S, 3)."""
        return self.preprocessing(picture).transpose(1, 2, 0)

    def look(self, pictures: Iterable[np.ndarray]) -> np.ndarray:
        """As `features`, of pictures that are prepared."""
        found, seen = [], iter(pictures)
        with evaluating(self.net), minidl.no_grad():
            for first in seen:
                more = islice(seen, evaluation_batch(first) - 1)
                x = Tensor(np.stack([first, *more]).transpose(0, 3, 1, 2))
                found.append(self.net.look(x).numpy())
        return np.concatenate(found)


def captions_of(
    captioners: Sequence[Captioner], pictures: Iterable[np.ndarray], decoding: Decoding
) -> Iterator[list[Caption]]:
    """Sentences about pictures; several networks say them together.

    A picture is brought to the size of the CNNs as soon as it comes: AT_ONCE photographs as cameras
    make them would take gigabytes.

    Args:
        captioners: with the same vocabulary.
        pictures: uint8 (H, W, 3), of any sizes.
        decoding: how sentences are found.

    Returns:
        for each picture in turn n_best of them.
    """
    waiting, random = iter(pictures), np.random.default_rng(decoding.seed)
    with ExitStack() as stack:
        for one in captioners:  # what kernels make of the weights serves for all pictures
            stack.enter_context(unchanging(one.net.decoder))
        while some := [
            [one.prepared(picture) for one in captioners] for picture in islice(waiting, AT_ONCE)
        ]:
            features = [one.look(seen) for one, seen in zip(captioners, zip(*some))]
            yield from captions_of_features(captioners, features, decoding, random)


def captions_of_features(
    captioners: Sequence[Captioner], features: Sequence[np.ndarray], decoding: Decoding,
    random: np.random.Generator | None = None,
) -> list[list[Caption]]:  # fmt: skip
    """As captions_of, of features (N, F) by each of the networks. `random` is for what is drawn."""
    decoders = [one.net.decoder for one in captioners]
    first = captioners[0]
    longest = decoding.max_words or first.max_words
    inputs = [Tensor(rows) for rows in features]
    if decoding.sample:
        return sample(
            decoders, inputs, first.vocabulary, random or np.random.default_rng(decoding.seed),
            decoding.n_best, decoding.temperature, longest,
        )  # fmt: skip
    return beam_search(
        decoders, inputs, first.vocabulary, decoding.beam, decoding.n_best, longest, decoding.alpha
    )


def check_decoding(decoding: Decoding, captioner: Captioner) -> None:
    """The decoding fits the network.

    Raises:
        OptionError
    """
    words = len(captioner.vocabulary)
    if not 0 <= decoding.alpha < math.inf:
        rule = "length-norm must be a finite number of at least 0"
        raise OptionError(rule, {"--length-norm": decoding.alpha})
    if not decoding.sample and decoding.n_best > decoding.beam:
        raise OptionError(
            "a beam has as many sentences as it is wide",
            {"--n-best": decoding.n_best, "--beam": decoding.beam}, f"--beam {decoding.n_best}",
        )  # fmt: skip
    if decoding.beam > words:
        raise OptionError(
            "the beam is wider than the vocabulary", {"--beam": decoding.beam, "words": words}
        )


# --- files --------------------------------------------------------------------------------------


def load_captioner(source: str) -> Captioner:
    """A network by the path of a run folder or file, or by the name of one in the package.

    Raises:
        CheckpointError: none there, damaged, or of something else.
    """
    path = packaged_file(source, [KIND]) or kept_checkpoint(source)
    checkpoint = minidl.io.load_checkpoint(path)
    meta = checkpoint.meta
    if meta.get("kind") not in (KIND, f"{KIND} run"):
        raise CheckpointError(
            OP, "the file is not one of minidl caption train", {"path": str(path)},
            "a run of minidl train is for minidl predict" if "model" in meta else "",
        )  # fmt: skip
    try:
        captioner = captioner_of(meta)
        captioner.net.load_state_dict(of_network(checkpoint.model))
    except (MinidlError, LookupError, TypeError, ValueError) as error:
        raise CheckpointError(
            OP, "vocabulary, settings and weights do not belong together",
            {"path": str(path), "reason": getattr(error, "rule", str(error))},
            "is the file of another version?",
        ) from None  # fmt: skip
    return captioner


def captioner_of(meta: dict[str, Any], net: ShowAndTell | None = None) -> Captioner:
    """The captioner that a checkpoint describes, with fresh weights, or with a network of its kind.

    Raises:
        MinidlError, LookupError: the parts do not fit each other.
    """
    settings = Settings(**stored_values(Settings, meta.get("settings")))
    vocabulary = Vocabulary.from_json(meta["vocabulary"])
    net = net or network_of(meta, settings, len(vocabulary))
    preprocessing = transforms.from_config(meta["preprocessing"])
    return Captioner(net.eval(), vocabulary, preprocessing, meta["max_words"], settings, meta)


def load_together(sources: Sequence[str]) -> list[Captioner]:
    """Several networks that speak together.

    Raises:
        OptionError: they know other words.
        CheckpointError: as load_captioner.
    """
    found = [load_captioner(source) for source in sources]
    first = found[0].vocabulary
    for source, one in zip(sources, found):
        if one.vocabulary.words != first.words:
            raise OptionError(
                "networks that speak together know the same words",
                {sources[0]: words_beside(first, one.vocabulary),
                 source: words_beside(one.vocabulary, first)},
                "train them on the same data with the same --min-count and --val-share",
            )  # fmt: skip
    return found


def words_beside(ours: Vocabulary, others: Vocabulary) -> Plain:
    """How many words a vocabulary has, and one that another lacks, for an error."""
    own = next((word for word in ours.words if word not in others), None)
    beside = f", {own!r} here alone" if own is not None else ""
    return Plain(f"{len(ours):,} words{beside}")


def save_captioner(path: Path, captioner: Captioner, figures: dict[str, Any]) -> None:
    """Write what speaks with weights as float16, half as large.

    Means and variances of norms stay float32: a variance may be too small for a float16.

    Args:
        path: of the file.
        captioner: stays as it is.
        figures: what was measured of it.

    Raises:
        CheckpointError: the file cannot be written.
    """
    names = ("words", "cnn_arguments", "vocabulary", "preprocessing", "max_words")
    settings = without_folders(to_dict(captioner.settings), ("data", "data_dir", "weights"))
    meta = {name: captioner.meta[name] for name in names}
    meta |= {"kind": KIND, "settings": settings, "figures": figures}
    net = copy.deepcopy(captioner.net)
    for parameter in net.parameters():
        parameter.data = parameter.data.astype("float16")
    minidl.io.save_checkpoint(path, net, meta=meta)
