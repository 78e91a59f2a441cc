import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minidl.data import Vocabulary, pad_sequences, tokenize
from minidl.errors import ArgumentError, DataError

TEXTS = [["b", "a", "c"], ["a", "b"], ["a", "d"]]


@pytest.mark.parametrize(
    "text, words",
    [
        ("", []),
        (
            "Yellow petals, and the CENTER is brown!",
            "yellow petals and the center is brown".split(),
        ),
        ("it's 3-4 under_score", ["it's", "3", "4", "under", "score"]),
        ("Äpfel 'quoted' l’été", ["äpfel", "quoted", "l’été"]),
        ("Blu\u0308te, Blüte", ["blüte", "blüte"]),
        ("लाल फूल।", ["लाल", "फूल"]),
        ("می\u200cشود", ["می\u200cشود"]),
        ("İstanbul", ["i\u0307stanbul"]),
        ("🌷\ufe0f \u0301 rose", ["rose"]),
    ],
)
def test_tokenize(text, words):
    assert tokenize(text) == words


def test_order_is_by_frequency_then_alphabet():
    assert Vocabulary.build(TEXTS).words == ["<pad>", "<unk>", "<s>", "</s>", "a", "b", "c", "d"]
    assert Vocabulary.build(TEXTS, min_count=2).words[4:] == ["a", "b"]
    assert Vocabulary.build([["<s>", "x"]]).words[4:] == ["x"]


def test_encode_and_decode():
    vocabulary = Vocabulary.build(TEXTS, min_count=2)
    assert vocabulary.encode(["a", "zebra", "b"]) == [2, 4, 1, 5, 3]
    assert vocabulary.encode(["a"], ends=False) == [4]
    assert vocabulary.decode([2, 4, 1, 5, 3, 4, 0]) == ["a", "<unk>", "b"]  # stops at </s>
    assert len(vocabulary) == 6 and "a" in vocabulary and "c" not in vocabulary


@settings(deadline=None)
@given(st.lists(st.lists(st.text(min_size=1), max_size=5), max_size=5))
def test_json_keeps_everything(texts):
    vocabulary = Vocabulary.build(texts)
    assert Vocabulary.from_json(vocabulary.to_json()).words == vocabulary.words
    for text in texts:
        if not set(text) & set(vocabulary.words[:4]):
            assert vocabulary.decode(vocabulary.encode(text)) == text


def test_pad_sequences():
    numbers, lengths = pad_sequences([[5, 6, 7], [], [8]], value=-1)
    assert numbers.tolist() == [[5, 6, 7], [-1, -1, -1], [8, -1, -1]]
    assert lengths.tolist() == [3, 0, 1]
    assert str(numbers.dtype) == str(lengths.dtype) == "int64"


@pytest.mark.parametrize(
    "call, error, says",
    [
        (lambda: tokenize(3), ArgumentError, "expects text"),
        (lambda: Vocabulary(["a", "a"]), ArgumentError, "each once"),
        (lambda: Vocabulary(["<s>"]), ArgumentError, "special"),
        (lambda: Vocabulary([3]), ArgumentError, "texts"),
        (lambda: Vocabulary.build(["a rose"]), ArgumentError, "tokenize"),
        (lambda: Vocabulary.build(TEXTS, 0), ArgumentError, "min_count"),
        (lambda: Vocabulary(["a"]).encode("a"), ArgumentError, "tokenize"),
        (lambda: Vocabulary(["a"]).decode([5]), ArgumentError, "0 to 4"),
        (lambda: Vocabulary(["a"]).decode([-1]), ArgumentError, "0 to 4"),
        (lambda: Vocabulary.from_json("[1"), DataError, "JSON"),
        (lambda: Vocabulary.from_json('{"a": 1}'), DataError, "JSON"),
        (lambda: Vocabulary.from_json("[1, 2]"), DataError, "JSON"),
        (lambda: pad_sequences([]), ArgumentError, "at least one"),
        (lambda: pad_sequences([[1.5]]), ArgumentError, "list of ints"),
        (lambda: pad_sequences([[[1]]]), ArgumentError, "list of ints"),
    ],
)
def test_refuses(call, error, says):
    with pytest.raises(error) as caught:
        call()
    assert says in str(caught.value)
