"""What is special while captions are learned: two phases, and words of the network's own.

Two phases (Vinyals et al. 2016, section 4.3.2): a CNN with the weights of others is frozen at
first, as the LSTM knows nothing and would spoil it. Its features of each picture are computed once.
After some epochs it learns, too, at a smaller rate.

Scheduled sampling (Bengio et al. 2015; Vinyals et al., section 4.3.4): the LSTM learns to go on
from true words, but later goes on from its own, and a wrong one leads to sentences that it never
saw. So some input words are replaced by what it says itself at that place. The gradient does not
pass through the choice.

    <s>  a     red     flower        true words
    <s>  a     yellow  flower        "yellow" is what it says after "<s> a"
    a    red   flower  </s>          what it learns to say
"""

from __future__ import annotations

from typing import Any

import minidl
from apps.shared.feature_cache import FeatureFiles
from minidl.callbacks import Callback
from minidl.device import array_module
from minidl.nn import Module, evaluating
from minidl.tensor import Tensor
from models.show_and_tell import Decoder, ShowAndTell


class Learner(Module):
    """The network in training. It is saved and loaded as the network itself.

    Args:
        net: CNN and LSTM.
    """

    def __init__(self, net: ShowAndTell):
        super().__init__()
        self.net = net

    def forward(self, pictures: Tensor, words: Tensor, own: Tensor | None = None) -> Tensor:
        """Scores of the words that follow.

        Args:
            pictures: (N, C, H, W), or features (N, F) where the CNN takes those.
            words: int (N, L), beginning with <s>.
            own: bool (N, L), which of them are replaced by the network's own; None for none.
        """
        features = self.net.look(pictures)
        if own is not None:
            words = with_own_words(self.net.decoder, features.detach(), words, own)
        return self.net.decoder(features, words)

    def state_dict(self) -> dict[str, Tensor]:
        return self.net.state_dict()

    def load_state_dict(self, state: Any, strict: bool = True) -> Any:
        return self.net.load_state_dict(state, strict)


def with_own_words(decoder: Decoder, features: Tensor, words: Tensor, own: Tensor) -> Tensor:
    """Input words of which some are what the decoder says there; the first one stays.

    Args:
        decoder: the LSTM; it drops nothing here.
        features: (N, F).
        words: int (N, L).
        own: bool (N, L).
    """
    xp = array_module(words.data)
    mixed = words.data.copy()
    with evaluating(decoder), minidl.no_grad():
        state = decoder.start(features)
        for t in range(1, mixed.shape[1]):
            scores, state = decoder.step(Tensor(mixed[:, t - 1]), state)
            mixed[:, t] = xp.where(own.data[:, t], scores.data.argmax(1), mixed[:, t])
    return Tensor(mixed)


class TwoPhases(Callback):
    """Keep a CNN frozen, and let it learn when it is time.

    Args:
        net: CNN and LSTM.
        after: epochs after which the CNN learns; None for never.
        files: the features of the pictures; None where they are not kept.
        part_of: each CaptionLoader -> the name of its pictures in the files.
    """

    order = -200  # before the others look at what learns

    def __init__(
        self, net: ShowAndTell, after: int | None, files: FeatureFiles | None,
        part_of: dict[Any, str],
    ):  # fmt: skip
        self.cnn, self.after, self.files, self.part_of = net.cnn, after, files, part_of

    def learns(self, epoch: int) -> bool:
        """Whether the CNN learns in an epoch, counted from 1."""
        return self.after is not None and epoch > self.after

    def on_epoch_start(self, run) -> None:
        """The network was just switched to training, all of it."""
        learns = self.learns(run.epoch)
        self.cnn.requires_grad_(learns)
        self.cnn.train(learns)
        self.cnn.norm.eval()  # mean and deviation are those of all training pictures
        cached = self.files is not None and not learns
        self.cnn.takes_features = cached
        for loader, name in self.part_of.items():
            loader.features = self.files.array(name) if cached else None
