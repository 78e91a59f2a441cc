"""models/show_and_tell.py once more, in plain PyTorch."""

import torch
from torch import nn


class Decoder(nn.Module):
    """Its LSTM has PyTorch's second bias, which `with_weights_of` sets to zero."""

    def __init__(self, features, words, embedding=512, hidden=512):
        super().__init__()
        self.picture = nn.Linear(features, embedding, bias=False)
        self.embedding = nn.Embedding(words, embedding)
        self.lstm = nn.LSTM(embedding, hidden)
        self.out = nn.Linear(hidden, words)

    def forward(self, features, words):
        x = torch.cat([self.picture(features)[None], self.embedding(words.T)])
        y, _ = self.lstm(x)
        return self.out(y[1:]).transpose(0, 1)

    def start(self, features):
        return self.lstm(self.picture(features)[None])[1]

    def step(self, words, state):
        y, state = self.lstm(self.embedding(words)[None], state)
        return self.out(y[0]), state


NAMES = {
    "lstm.weight_ih": "lstm.weight_ih_l0",
    "lstm.weight_hh": "lstm.weight_hh_l0",
    "lstm.bias": "lstm.bias_ih_l0",
}  # of ours -> of the twin, where they differ


def with_weights_of(twin, decoder):
    """The twin with the weights of our decoder."""
    state = {
        NAMES.get(name, name): torch.from_numpy(value.numpy().copy())
        for name, value in decoder.state_dict().items()
    }
    state["lstm.bias_hh_l0"] = torch.zeros_like(state["lstm.bias_ih_l0"])
    twin.load_state_dict(state)
    return twin


def caption_loss(scores, next_words, lengths):
    """The mean over the words that count; what does not is taken out of the batch."""
    counts = torch.arange(scores.shape[1]) < lengths[:, None]
    return nn.functional.cross_entropy(scores[counts], next_words[counts])
