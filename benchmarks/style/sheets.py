"""What the parts have in common: pictures of scikit-image's wheel, and small files of results."""

from __future__ import annotations

import io
from pathlib import Path

from PIL import Image

LARGEST = 60_000  # bytes of a picture in the repository


def wheel(name: str) -> str:
    """The file of a picture of the scikit-image wheel."""
    import skimage

    return str(Path(skimage.__file__).parent / "data" / name)


def save_small(image: Image.Image, path: Path) -> None:
    """A JPEG, as good as LARGEST allows."""
    for quality in range(92, 40, -4):
        stream = io.BytesIO()
        image.save(stream, "JPEG", quality=quality, optimize=True, progressive=True)
        if stream.tell() <= LARGEST:
            break
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(stream.getvalue())
    print(f"{path.name}: {path.stat().st_size // 1000} kB", flush=True)
