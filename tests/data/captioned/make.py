"""Small captioned data sets, written by the tests."""

import json

from tests.data.make import pixels, png, write


def picture(seed, *shape):
    """The bytes of a PNG."""
    return png(pixels(*(shape or (70, 80)), 3, seed=seed))


def pictures(folder, *names):
    """Write different pictures under these names."""
    for seed, name in enumerate(names):
        write(folder / name, picture(seed))
    return folder


def jsonl(path, *records):
    """Write a JSON lines file; a text is a line as it is."""
    lines = [r if isinstance(r, str) else json.dumps(r, ensure_ascii=False) for r in records]
    return write(path, "\n".join(lines) + "\n")


def roses(folder, count=12, **more):
    """A JSON lines file with some pictures, half of them roses."""
    names = [f"p/{i}.png" for i in range(count)]
    pictures(folder, *names)
    records = [
        {"image": name, "caption": f"a flower with {i} petals",
         "class": "rose" if i % 2 else "tulip"} | more
        for i, name in enumerate(names)
    ]  # fmt: skip
    return jsonl(folder / "data.jsonl", *records)
