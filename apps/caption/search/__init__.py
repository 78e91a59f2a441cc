"""What a trained network says of pictures: the likeliest captions, or captions drawn at random."""

from apps.caption.search.beam import beam_search
from apps.caption.search.captions import Caption
from apps.caption.search.sampling import sample

__all__ = ["Caption", "beam_search", "sample"]
