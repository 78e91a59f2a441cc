"""What is special while captions are learned: two phases, phrases of a picture, words of its own.

Two phases (Vinyals et al. 2016, section 4.3.2): a CNN with the weights of others is frozen at
first, as the LSTM knows nothing and would spoil it. Its features of each picture are computed once.
After some epochs it learns, too, at a smaller rate.

The phrases of a picture: a CNN that learns from the start gets a second, direct lesson. From its
features a linear layer says of each word, and of each pair of words, whether it is in any caption
of the picture (as the word detectors of Fang et al. 2015, "From Captions to Visual Concepts and
Back", section 3, and the attributes of Wu et al. 2016, "What Value Do Explicit High Level Concepts
Have in Vision to Language Problems?", section 3.1; pairs are ours, see phrases.py). In captions
alone there is little about a picture: most words follow from those before, and which of several
sentences is meant is chance. Until the LSTM listens, the CNN learns nothing worth listening to. The
layer is not part of the network that is kept.

    loss  =  caption loss  +  weight * sum over phrases of the binary cross-entropy

Noise on the features (Bishop 1995, "Training with Noise is Equivalent to Tikhonov Regularization"):
where the CNN is frozen and each picture is a single point, the LSTM learns the captions of a few
hundred points by heart, and says anything between them. Normal noise makes a ball of each point.

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
from apps.caption.network import DETECTOR, of_network
from apps.shared.feature_cache import FeatureFiles
from minidl import nn
from minidl.callbacks import Callback
from minidl.device import array_module
from minidl.nn import Module, evaluating
from minidl.nn.functional import binary_cross_entropy_with_logits
from minidl.tensor import Tensor
from models.show_and_tell import Decoder, ShowAndTell, caption_loss


class Learner(Module):
    """The network in training. A checkpoint has its tensors, and those of the layer of phrases.

    Args:
        net: CNN and LSTM.
        phrases: of how many it learns, too, whether they are in any caption of a picture.
        noise: standard deviation of what is added to each feature in training.
    """

    def __init__(self, net: ShowAndTell, phrases: int = 0, noise: float = 0.0):
        super().__init__()
        self.net, self.noise = net, noise
        self.detector = nn.Linear(net.decoder.features, phrases) if phrases else None

    def forward(self, pictures: Tensor, words: Tensor, own: Tensor | None = None) -> Any:
        """Scores of the words that follow; in training also those of the detector, if there is one.

        Args:
            pictures: (N, C, H, W), or features (N, F) where the CNN takes those.
            words: int (N, L), beginning with <s>.
            own: bool (N, L), which of them are replaced by the network's own; None for none.
        """
        features = self.net.look(pictures)
        if self.noise and self.training:
            features = features + self.noise * minidl.randn(*features.shape, dtype=features.dtype)
        if own is not None:
            words = with_own_words(self.net.decoder, features.detach(), words, own)
        scores = self.net.decoder(features, words)
        if self.detector is None or not self.training:
            return scores
        return scores, self.detector(features)

    def state_dict(self) -> dict[str, Tensor]:
        state = self.net.state_dict()
        if self.detector is not None:
            state |= {DETECTOR + name: x for name, x in self.detector.state_dict().items()}
        return state

    def load_state_dict(self, state: Any, strict: bool = True) -> Any:
        if self.detector is not None:
            own = {n.removeprefix(DETECTOR): x for n, x in state.items() if n.startswith(DETECTOR)}
            self.detector.load_state_dict(own, strict)
        return self.net.load_state_dict(of_network(state), strict)


class LearningLoss:
    """What is made small: the loss of captions, and that of the phrases of a picture.

    The first is a mean over words, the second one over pictures. A step of several slots weighs
    both by the words of each slot.

    Args:
        weight: of the latter.
    """

    def __init__(self, weight: float):
        self.weight = weight

    def __call__(self, outputs: Any, targets: Any) -> Tensor:
        """Of what a Learner made of a batch.

        Args:
            outputs: scores of a decoder, or these and scores of phrases (N, P).
            targets: (next_words, lengths), and with scores of phrases which of them are present.
        """
        loss = captions_alone(outputs, targets)
        if not isinstance(outputs, tuple):
            return loss
        present = targets[2]
        each = binary_cross_entropy_with_logits(outputs[1], present, reduction="sum")
        return loss + each * (self.weight / len(present))


def captions_alone(outputs: Any, targets: Any) -> Tensor:
    """The loss of captions, of the same arguments as LearningLoss."""
    scores = outputs[0] if isinstance(outputs, tuple) else outputs
    return caption_loss(scores, targets[:2])


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
