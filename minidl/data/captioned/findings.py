"""What is wrong with pictures and captions, as a list of findings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from minidl.errors import DataError

SHOWN = 5  # names in a text


@dataclass(frozen=True)
class Finding:
    """Something that is wrong, or that the user should know.

    Args:
        kind: one word or two for programs, such as "missing pictures".
        rule: what is wrong.
        names: where: pictures, lines of a file, captions; all of them.
        hint: what to do about it.
        serious: nothing can be learned from the data before it is put right.

    >>> from minidl.data.captioned import Finding
    >>> print(Finding("missing pictures", "pictures are not there", ["a.jpg", "b.jpg"]))
    pictures are not there (2): a.jpg, b.jpg
    """

    kind: str
    rule: str
    names: Sequence[str] = ()
    hint: str = ""
    serious: bool = False

    def __str__(self) -> str:
        if not self.names:
            return self.rule
        return f"{self.rule} ({len(self.names):,}): {shorten(self.names)}"

    def error(self, op: str, where: str) -> DataError:
        """The finding as an error."""
        received = {"data": where}
        if self.names:
            received |= {"how many": len(self.names), "which": Plain(shorten(self.names))}
        return DataError(op, self.rule, received, self.hint)


class Plain(str):
    """A text that errors print without quotes."""

    def __repr__(self) -> str:
        return str(self)


def shorten(names: Sequence[str], shown: int = SHOWN) -> str:
    """The first names, and how many more there are."""
    text = ", ".join(n if len(n) <= 60 else f"{n[:20]}...{n[-37:]}" for n in names[:shown])
    more = len(names) - shown
    return f"{text} and {more:,} more" if more > 0 else text
