"""A small network on small data, for the tests of the training loop."""

import numpy as np

import minidl
from minidl import Tensor, callbacks, nn
from minidl.data import DataLoader


class Digits:
    """24 random pictures of 3 classes; a bright row tells the class, so it can be learned."""

    classes = ["top", "middle", "bottom"]
    names = None

    def __init__(self, n=24, seed=0):
        rng = np.random.default_rng(seed)
        self.labels = np.arange(n) % 3
        self.images = rng.integers(0, 100, (n, 3, 4, 1)).astype(np.uint8)
        self.images[np.arange(n), self.labels] += 120

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, i):
        return self.images[i], int(self.labels[i])


class Net(nn.Module):
    """A convolution, dropout (so that random numbers matter), and a linear layer."""

    def __init__(self, dropout=0.2):
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(1, 4, (1, 4)), nn.ReLU())
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(12, 3)

    def forward(self, x):
        return self.classifier(self.dropout(self.features(x).reshape(x.shape[0], 12)))


def make_loader(**options):
    return DataLoader(Digits(), **{"batch_size": 5, "shuffle": True, "seed": 3, **options})


def make(seed=0, dropout=0.2):
    """Model, loader, loss function and optimizer."""
    minidl.manual_seed(seed)
    model = Net(dropout)
    optimizer = minidl.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    return model, make_loader(), nn.CrossEntropyLoss(), optimizer


def fit_with(*chosen, epochs=4, validation=True, model=None, resume=None):
    """Train with these callbacks."""
    model, loader, loss, optimizer = model or make()
    held_out = make_loader(shuffle=False) if validation else None
    return minidl.fit(model, loader, loss, optimizer, epochs, held_out, chosen, resume)


class Scripted(callbacks.Callback):
    """Replaces val_loss by given values."""

    order = -1

    def __init__(self, *values):
        self.values = values

    def on_epoch_end(self, run):
        run.metrics["val_loss"] = self.values[run.epoch - 1]


def regression_batches(n=4):
    """A plain list of (x, target) pairs."""
    rng = np.random.default_rng(1)
    x = rng.standard_normal((n, 8, 2)).astype(np.float32)
    return [(Tensor(a), Tensor(a @ np.float32([[1.0], [-2.0]]))) for a in x]


def weights(model):
    return {name: tensor.data.copy() for name, tensor in model.state_dict().items()}


def assert_same_weights(a, b):
    """Bit for bit."""
    assert a.keys() == b.keys()
    for name in a:
        np.testing.assert_array_equal(a[name], b[name], err_msg=name)
