"""Messages as bytes, and back, believing nothing.

    frame 1   MessagePack array [version, kind, sender, field, field ...], then 4 bytes: its CRC-32.
              Where all fields are whole numbers (Pull, Ack, Weights), these are written as they
              are in memory, as it takes a third of the time: byte 0xC1, with which no MessagePack
              begins, version, kind, length of the sender's name, the name, int64 numbers
    frame 2   the values, raw (only in kinds that have some). Fewer than 4 KiB go to the end of
              frame 1, before its CRC: a frame of their own takes longer

A kind is a place in messages.MESSAGES. Fields are checked on arrival to be what its dataclass says,
with the items of lists and dicts where it says them (list[int]), and of finite size. What the
values are is never said by the message: dtype and number of elements come from the plan
(`values_of`). Their checksum, a field, is for the machine that takes them (server.py, worker.py).
Whatever is wrong is a WireError with a cause of one word, which the node counts; bytes from outside
raise nothing else. What a receiver would refuse is not sent either: `encode` raises where the
mistake was made, instead of a connection that breaks, and a sender that repeats it for ever.

The first field, the version, and the CRC stay where they are in all versions: so processes of two
versions can tell each other what is wrong.

Values of 64 KiB and more are neither copied when sent nor when received: a sender must not change
them until they are gone (servers keep versions, workers the gradients of a step); a receiver's
array is the memory of the message, which nobody else has. Below that a copy is quicker.
"""

from __future__ import annotations

import dataclasses
import operator
import struct
import types
import typing
import zlib
from collections.abc import Callable
from typing import Any

import msgpack
import numpy as np

from minidl.errors import MinidlError
from minidl_dist import messages
from minidl_dist.messages import MESSAGES, VERSION, StepDone

INLINE_BELOW = 4 << 10  # bytes
COPY_BELOW = 64 << 10  # bytes
NUMBERS = 0xC1  # first byte of a header of numbers
MAX_HEADER = 4 << 20  # bytes; the state of a run is the largest field
MAX_VALUES = 4 << 20  # bytes
MAX_TEXT = 64 << 10  # bytes of a str
MAX_ITEMS = 1 << 20  # of a list or dict
SAME_VERSION = "install the same minidl on all machines of a job"


class WireError(MinidlError, ValueError):
    """What arrived, or was to be sent, is no message.

    Attributes:
        cause: one word for the counters: frames, header, checksum, version, kind, field, values,
            plan; "unsendable" for what was to be sent.
    """

    def __init__(
        self, cause: str, rule: str, received: dict[str, Any] | None = None, hint: str = ""
    ):
        super().__init__("message", rule, received, hint)
        self.cause = cause


# --- out ----------------------------------------------------------------------------------------


def encode(message: Any, sender: str) -> list[Any]:
    """The frames of a message.

    Args:
        message: an instance of a class in MESSAGES.
        sender: the name of this process.

    Raises:
        WireError: the receiver would refuse it: it is too large, or a field has a wrong type.
    """
    form = FORM_OF[type(message)]
    values = inline = None
    try:
        if form.has_values:
            values = message.values
            if values.nbytes < INLINE_BELOW:
                values, inline = None, values.tobytes()
            else:
                check_size(form, "values", values.nbytes, MAX_VALUES)
                values = np.ascontiguousarray(values).reshape(-1)
        if form.numbers is not None:
            text = form.write(message, sender, inline)
        else:
            text = write_header(form, message, sender, inline)
    except WireError as error:
        if error.cause == "unsendable":
            raise
        raise WireError("unsendable", f"{form.name} cannot be sent: {error.rule}") from None
    except (TypeError, ValueError, OverflowError) as error:
        raise WireError("unsendable", f"{form.name} cannot be sent: {error}") from None
    header = text + zlib.crc32(text).to_bytes(4, "little")
    return [header] if values is None else [header, values.view(np.uint8).data]


class Encoder:
    """encode for one sender. A StepDone, which has a report of each worker, goes to all of them: it
    is encoded once.
    """

    def __init__(self, sender: str):
        self.sender = sender
        self.last: tuple[StepDone | None, list] = (None, [])

    def frames(self, message: Any) -> list:
        """As encode, with its errors."""
        if type(message) is not StepDone:
            return encode(message, self.sender)
        if message is not self.last[0]:
            self.last = message, encode(message, self.sender)
        return self.last[1]


def write_header(form: Form, message: Any, sender: str, inline: bytes | None) -> bytes:
    """A header in MessagePack, looked at as the receiver will."""
    content = [VERSION, form.kind, sender, *form.fields(message)]
    if inline is not None:
        content.append(inline)
    text = msgpack.packb(content, default=as_plain)
    check_size(form, "header", len(text) + 4, MAX_HEADER)
    form.check(unpack(text)[3 : 3 + len(form.names)])
    return text


def check_size(form: Form, part: str, size: int, most: int) -> None:
    """
    Raises:
        WireError: a part of a message is larger than the receiver's sockets take.
    """
    if size > most:
        raise WireError(
            "unsendable", f"{form.name} cannot be sent: it is too large",
            {f"bytes of {part}": f"{size:,}", "at most": f"{most:,}"}, HINTS.get(form.name, ""),
        )  # fmt: skip


def as_plain(value: Any) -> Any:
    """What MessagePack does not know but a machine may put into a field."""
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, set | frozenset):
        return sorted(value)
    if dataclasses.is_dataclass(value):
        return [getattr(value, field.name) for field in dataclasses.fields(value)]
    raise TypeError(f"a message holds a {type(value).__name__}")


# --- in -----------------------------------------------------------------------------------------


def decode(
    header: bytes, values: Any = None, values_of: Callable[[Any], Any] | None = None
) -> tuple[str, Any]:
    """The sender and the message of its frames.

    Args:
        header: the first frame.
        values: the second, bytes or a zmq.Frame, which is as good; None if there is none.
        values_of: message without its values -> (dtype, number of elements) that it must have by
            the plan, or None where the plan knows no such message.

    Returns:
        (what the message says its sender's name is, the message).

    Raises:
        WireError: anything is not as it must be.
    """
    if not 8 <= len(header) <= MAX_HEADER:
        raise WireError("header", f"a header has 8 to {MAX_HEADER:,} bytes", {"bytes": len(header)})
    text = header[:-4]
    if zlib.crc32(text) != int.from_bytes(header[-4:], "little"):
        raise WireError("checksum", "the header was damaged on its way, or is not one")
    if text[0] == NUMBERS:
        sender, form, fields, inline = read_numbers(text)
    else:
        sender, form, fields, inline = read_header(text)
    if form.has_values:
        message = form.made(*fields, None)
        values = inline if values is None else values
        if values is None:
            raise WireError("frames", f"{form.name} lacks its values")
        message.values = read_values(form.name, message, values, values_of)
        return sender, message
    if values is not None or inline is not None:
        raise WireError("frames", f"{form.name} carries no values")
    return sender, form.made(*fields)


def read_header(text: bytes) -> tuple[str, Form, list, bytes | None]:
    """Sender, form, fields, and values in it, of a header in MessagePack."""
    content = unpack(text)
    form, sender = form_of(content[1]), content[2]
    if form.numbers is not None:
        raise WireError("header", f"{form.name} is written in another way")
    if type(sender) is not str or len(sender) > 64:
        raise WireError("header", "a header names its sender")
    inline = None
    if form.has_values and len(content) > 3 + len(form.names):
        inline = content.pop()
        if type(inline) is not bytes:
            raise WireError("field", f"{form.name} has no such values")
    form.check(content[3:])
    return sender, form, content[3:], inline


def read_numbers(text: bytes) -> tuple[str, Form, tuple, bytes | None]:
    """The same, where all fields are whole numbers."""
    version, kind, length = text[1:4]
    if version != VERSION:
        check_version(version)
    form = FORMS[kind] if kind < len(FORMS) else form_of(kind)
    numbers, start = form.numbers, 4 + length
    if numbers is None or len(text) < start + numbers.size:
        raise WireError("field", f"{form.name} has no such fields")
    try:
        sender = text[4:start].decode()
    except UnicodeDecodeError:
        raise WireError("header", "a header names its sender") from None
    fields = numbers.unpack_from(text, start)
    if max(fields) > LARGEST or min(fields) < -LARGEST:
        raise form.misfit(fields)
    return sender, form, fields, text[start + numbers.size :] or None


def form_of(kind: Any) -> Form:
    if type(kind) is not int or not 0 <= kind < len(FORMS):
        raise WireError("kind", "no message has such a kind", {"kind": kind})
    return FORMS[kind]


def unpack(text: bytes) -> list:
    """[version, kind, sender, fields ...] with the right version."""
    try:
        content = msgpack.unpackb(
            text, strict_map_key=False, max_str_len=MAX_TEXT, max_bin_len=MAX_HEADER,
            max_array_len=MAX_ITEMS, max_map_len=MAX_ITEMS, max_ext_len=0,
        )  # fmt: skip
    except Exception as error:  # noqa: BLE001 - whatever it raises, these bytes are no message
        raise WireError(
            "header", f"the header is not MessagePack: {type(error).__name__}"
        ) from None
    if type(content) is not list or len(content) < 3:
        raise WireError("header", "a header is a list of version, kind, sender, fields")
    check_version(content[0])
    return content


def check_version(version: Any) -> None:
    if type(version) is not int or version != VERSION:
        raise WireError(
            "version", f"the other process speaks version {version!r:.20} of minidl's protocol,"
            f" this one version {VERSION}", hint=SAME_VERSION,
        )  # fmt: skip


def read_values(name: str, message: Any, frame: Any, values_of: Any) -> np.ndarray:
    """The array in a frame, if it is what the plan says."""
    expected = values_of(message) if values_of is not None else None
    if expected is None:
        raise WireError("plan", f"the plan has no place for the values of this {name}")
    dtype, size = np.dtype(expected[0]), expected[1]
    if len(frame) != dtype.itemsize * size:
        raise WireError(
            "values", f"the values of {name} have another size than the plan says",
            {"bytes": len(frame), "plan": dtype.itemsize * size},
        )  # fmt: skip
    values = np.frombuffer(frame, dtype)
    if len(frame) < COPY_BELOW:
        return values.copy()
    if not (values.flags.aligned and values.flags.writeable):
        values = values.copy()
    return values


# --- the dataclasses of messages.py, seen from here ---------------------------------------------


class Form:
    """How one class of messages is written: its kind, its fields and their types."""

    def __init__(self, kind: int, made: type):
        hints = typing.get_type_hints(made, vars(messages))
        names = [field.name for field in dataclasses.fields(made)]
        self.kind, self.made, self.name = kind, made, made.__name__
        self.has_values = names[-1] == "values"
        if self.has_values:
            names.pop()
        self.names = names
        self.types = [types_of(hints[name]) for name in names]
        self.items = [items_of(hints[name]) for name in names]
        get = operator.attrgetter(*names)
        self.fields = get if len(names) > 1 else lambda message: (get(message),)
        are_whole = all(hints[name] is int for name in names)
        self.numbers = struct.Struct(f"<{len(names)}q") if are_whole else None
        self.starts: dict[str, bytes] = {}  # of a header of numbers, by its sender

    def write(self, message: Any, sender: str, inline: bytes | None) -> bytes:
        """A header of numbers.

        Raises:
            WireError: a field is no number, or too large.
        """
        start = self.starts.get(sender)
        if start is None:
            name = sender.encode()
            start = self.starts[sender] = bytes([NUMBERS, VERSION, self.kind, len(name)]) + name
        fields = self.fields(message)
        try:
            text = start + self.numbers.pack(*fields)
        except struct.error:
            raise self.misfit(fields) from None
        return text if inline is None else text + inline

    def check(self, fields: list) -> None:
        """
        Raises:
            WireError: there are more or fewer fields, or one is of another type.
        """
        if len(fields) != len(self.names):
            raise WireError(
                "field", f"{self.name} has {len(self.names)} fields", {"received": len(fields)}
            )
        for allowed, items, value in zip(self.types, self.items, fields):
            kind = type(value)
            if kind is int:
                fits = int in allowed and -LARGEST <= value <= LARGEST
            else:
                fits = kind in allowed and (kind not in NESTS or not value or is_nest(value, items))
            if not fits:
                raise self.misfit(fields)

    def misfit(self, fields: list) -> WireError:
        """The error of the first field that does not fit."""
        name, value = next(
            (name, value)
            for name, allowed, items, value in zip(self.names, self.types, self.items, fields)
            if type(value) not in allowed or not is_nest(value, items)
        )
        received = {"received": type(value).__name__}
        return WireError("field", f"{self.name} has no such {name}", received)


def types_of(hint: Any) -> tuple[type, ...]:
    """The types that a field may have, of its annotation."""
    if isinstance(hint, types.UnionType):
        return tuple(kind for part in typing.get_args(hint) for kind in types_of(part))
    hint = typing.get_origin(hint) or hint
    if hint not in PLAIN:
        raise TypeError(f"wire.py cannot check a field of type {hint}")
    return (float, int) if hint is float else (hint,)


def items_of(hint: Any) -> frozenset[type]:
    """The types that items of a field may have, where its annotation says: list[int]."""
    inner = typing.get_args(hint) if typing.get_origin(hint) in NESTS else ()
    return frozenset(types_of(inner[-1])) if inner else frozenset()


def is_nest(value: Any, items: frozenset[type]) -> bool:
    """Whether a value is plain, and its items are of these types; none given: of any."""
    if items and type(value) is dict and not {type(key) for key in value} <= {str}:
        return False
    inner = value.values() if type(value) is dict else value
    return is_plain(value) and (not items or {type(item) for item in inner} <= items)


def is_plain(value: Any) -> bool:
    """Whether it is made of JSON values and bytes, with text or whole numbers as keys."""
    try:
        return consists_of_plain(value)
    except RecursionError:
        return False


def consists_of_plain(value: Any) -> bool:
    if type(value) is dict:
        return all(type(key) in (str, int) for key in value) and all(
            consists_of_plain(item) for item in value.values()
        )
    if type(value) is list:
        return all(consists_of_plain(item) for item in value)
    return type(value) in PLAIN and (type(value) is not int or -LARGEST <= value <= LARGEST)


HINTS = {
    "RunState": "a callback, schedule or loader keeps arrays in its state_dict()",
    "Offer": "the model has too many tensors for one message",
    "Welcome": "the model has too many tensors for one message",
}
LARGEST = 1 << 62  # of a whole number
NESTS = (dict, list)
PLAIN = (int, float, str, bytes, bool, type(None), dict, list)
FORMS = [Form(kind, made) for kind, made in enumerate(MESSAGES)]
FORM_OF = {form.made: form for form in FORMS}
