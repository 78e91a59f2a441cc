"""The search in PyTorch says what ours says: the two are compared in speed."""

import numpy as np
import pytest

import minidl
from apps.caption.search import beam_search
from minidl.data import Vocabulary
from models.show_and_tell import Decoder

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
from benchmarks import caption_steps, caption_torch  # noqa: E402
from tests.models import caption_twins as twins  # noqa: E402

pytestmark = pytest.mark.torch


@pytest.mark.parametrize("width", [1, 3, 10])
def test_the_two_searches_say_the_same(width):
    minidl.manual_seed(2)
    net = Decoder(5, 24, 6, 7).to("float64").eval()
    for parameter in net.parameters():
        minidl.nn.init.normal_(parameter, 0, 0.8)
    features = np.random.default_rng(0).standard_normal((8, 5))
    vocabulary, lengths = Vocabulary([f"word{i}" for i in range(20)]), set()
    for _ in range(4):
        net.out.bias.data[caption_torch.END] += 0.8  # captions become shorter
        twin = twins.with_weights_of(twins.Decoder(5, 24, 6, 7).double(), net).eval()
        ours = beam_search([net], [minidl.tensor(features)], vocabulary, width, 1, 7)
        others = caption_torch.beam_search(twin, torch.from_numpy(features), width, 7)
        for (said,), (numbers, log_prob) in zip(ours, others, strict=True):
            assert said.numbers == numbers
            assert said.log_prob == pytest.approx(log_prob, rel=1e-9)
            lengths.add(len(numbers))
    assert len(lengths) > 1


def test_both_sides_take_the_same_step(monkeypatch):
    for name, size in (("FEATURES", 6), ("WORDS", 30), ("UNITS", 8), ("CAPTIONS", 3)):
        monkeypatch.setattr(caption_steps, name, size)
    monkeypatch.setattr(caption_steps, "use_threads", lambda: None)  # as many as the tests have
    monkeypatch.setattr(caption_steps, "THREADS", torch.get_num_threads())
    assert caption_steps.step_error("SGD") < 1e-5
    assert caption_steps.step_error("Adam") < 1e-3
    assert caption_steps.search_error(3) == 0
