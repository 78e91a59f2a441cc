"""A pickle machine that knows tensors only.

A pickle is a program for a stack machine, and two of its instructions run anything: GLOBAL imports
a name from a module, REDUCE calls it. This machine imports nothing and calls nothing. GLOBAL gives
the two words as they are, if they are on the short list below; REDUCE of a word from the list
makes an ordered dict or notes down a tensor. Every other word, and every instruction that
torch.save does not write for tensors, is an error that names it.

The instructions are described in Lib/pickletools.py of CPython, whose table decodes them here.
"""

from __future__ import annotations

import pickletools
import struct
from typing import Any, BinaryIO

from minidl.io.weights.file import MAX_DIMS, MAX_NAME, Refused, short
from minidl.io.weights.pickle_words import (
    DICT_MAKERS,
    DTYPES,
    PARAMETER_MAKERS,
    STORAGES,
    TENSOR_MAKERS,
    WITH_ATTRIBUTES,
    WORDS,
    Global,
    PickledTensor,
    Storage,
)

MAX_PICKLE = 16 << 20  # bytes, without those of the tensors; ResNet-152 needs 0.15 MiB,
MAX_STEPS = 1_000_000  # and 0.05 million instructions. One of them can make a dict of 64 bytes.

# Instructions whose argument is the value that they push, and those that push always the same.
ARGUMENT = {
    "BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT", "BINUNICODE", "SHORT_BINUNICODE",
    "BINSTRING", "SHORT_BINSTRING", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8",
}  # fmt: skip
CONSTANT = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
EMPTY = {"EMPTY_DICT": dict, "EMPTY_LIST": list, "EMPTY_TUPLE": tuple, "EMPTY_SET": list}
FIXED_TUPLE = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
TO_MARK = {"TUPLE", "LIST", "DICT", "SETITEMS", "APPENDS", "ADDITEMS"}

SAVE_STATE = "this is no file of tensors; save torch.save(model.state_dict(), path) instead"
KNOWN = {
    *ARGUMENT, *CONSTANT, *EMPTY, *FIXED_TUPLE, *TO_MARK, "MARK", "SETITEM", "APPEND", "BINPUT",
    "LONG_BINPUT", "MEMOIZE", "BINGET", "LONG_BINGET", "GLOBAL", "STACK_GLOBAL", "REDUCE",
    "BINPERSID", "BUILD", "PROTO", "FRAME", "STOP",
}  # fmt: skip


class Machine:
    """Runs one pickle of a stream, and stops behind it.

    Values are dicts, lists, tuples, texts, numbers, None, Globals, Storages and PickledTensors.
    Sets become lists.

    Args:
        stream: positioned at the pickle.

    Attributes:
        words: the names that it knows; `make` says what a call of one gives.
        max_bytes: of the pickle.
    """

    words = WORDS
    max_bytes = MAX_PICKLE

    def __init__(self, stream: BinaryIO):
        self.stream = stream
        self.stack: list[Any] = []
        self.below: list[list[Any]] = []  # stacks under the marks
        self.memo: dict[int, Any] = {}
        self.storages: dict[str, Storage] = {}  # the first of each key
        self.steps = 0

    def run(self) -> Any:
        """The value of the pickle.

        Raises:
            Refused: it is cut short, damaged, or wants more than tensors.
        """
        end = self.stream.tell() + self.max_bytes
        try:
            while self.stream.tell() <= end and self.steps < MAX_STEPS:
                self.steps += 1
                code = self.stream.read(1).decode("latin-1")
                instruction = pickletools.code2op.get(code)
                if instruction is None:
                    raise Refused("the pickle is cut short or damaged: no such instruction",
                                  {"byte": repr(code)})  # fmt: skip
                check_instruction(instruction.name)
                argument = self.argument(instruction)
                if instruction.name == "STOP":
                    return self.stack.pop()
                self.step(instruction.name, argument)
        except (IndexError, KeyError):
            raise Refused("the pickle is damaged: it takes a value that is not there") from None
        except (ValueError, struct.error) as error:
            raise Refused(f"the pickle is cut short or damaged ({short(str(error))})") from None
        raise Refused(
            f"the pickle has more than {self.max_bytes:,} bytes or {MAX_STEPS:,} instructions",
            hint=SAVE_STATE,
        )

    def argument(self, instruction: pickletools.OpcodeInfo) -> Any:
        """What follows an instruction in the stream."""
        if instruction.name == "GLOBAL":  # two lines; pickletools would interpret backslashes
            lines = [self.stream.readline(MAX_NAME) for _ in range(2)]
            return [line.removesuffix(b"\n").decode("utf-8") for line in lines]
        return None if instruction.arg is None else instruction.arg.reader(self.stream)

    def step(self, name: str, argument: Any) -> None:
        """One instruction."""
        push = self.stack.append
        if name in ARGUMENT:
            push(argument)
        elif name in CONSTANT:
            push(CONSTANT[name])
        elif name in EMPTY:
            push(EMPTY[name]())
        elif name in FIXED_TUPLE:
            push(tuple(reversed([self.stack.pop() for _ in range(FIXED_TUPLE[name])])))
        elif name == "MARK":
            self.below.append(self.stack)
            self.stack = []
        elif name in TO_MARK:
            self.collect(name)
        elif name in ("SETITEM", "APPEND"):
            items = [self.stack.pop() for _ in range(2 if name == "SETITEM" else 1)]
            self.extend(name, list(reversed(items)))
        elif name in ("BINPUT", "LONG_BINPUT", "MEMOIZE"):
            self.memo[len(self.memo) if argument is None else argument] = self.stack[-1]
        elif name in ("BINGET", "LONG_BINGET"):
            push(self.memo[argument])
        elif name == "GLOBAL":
            push(known_word(*argument, self.words))
        elif name == "STACK_GLOBAL":
            word, module = self.stack.pop(), self.stack.pop()
            push(known_word(module, word, self.words))
        elif name == "REDUCE":
            arguments = self.stack.pop()
            push(self.make(self.stack.pop(), arguments))
        elif name == "BINPERSID":
            push(self.storage(self.stack.pop()))
        elif name == "BUILD":
            self.build()
        # PROTO and FRAME change nothing

    def collect(self, name: str) -> None:
        """Instructions that take what is above the mark."""
        items = self.stack
        self.stack = self.below.pop()
        if name == "TUPLE":
            self.stack.append(tuple(items))
        elif name == "LIST":
            self.stack.append(items)
        elif name == "DICT":
            self.stack.append({})
            self.extend("SETITEMS", items)
        else:
            self.extend(name, items)

    def extend(self, name: str, items: list[Any]) -> None:
        """Put items into the dict or list on top of the stack."""
        target = self.stack[-1]
        if name in ("SETITEM", "SETITEMS"):
            set_items(target, items)
        elif type(target) is list:
            target.extend(items)
        else:
            raise Refused("the pickle is damaged: it appends to what is no list")

    def build(self) -> None:
        """BUILD would set an object's attributes. state_dict() has one: a dict of versions."""
        state = self.stack.pop()
        if type(self.stack[-1]) is not dict or type(state) is not dict:
            raise Refused("the pickle sets the attributes of an object", hint=SAVE_STATE)

    def make(self, word: Any, arguments: Any) -> Any:
        """What REDUCE gives for a word of the list."""
        if type(word) is not Global or type(arguments) is not tuple:
            raise Refused("the pickle calls what is no name", hint=SAVE_STATE)
        if word in DICT_MAKERS:
            return self.make_dict(arguments)
        if word in TENSOR_MAKERS:
            return make_tensor(word, arguments)
        if word in PARAMETER_MAKERS and arguments and type(arguments[0]) is PickledTensor:
            return arguments[0]  # requires_grad and hooks are of no interest
        if word == WITH_ATTRIBUTES and len(arguments) == 4 and is_tensor_maker(arguments[0]):
            return self.make(arguments[0], arguments[2])  # (function, type, its arguments, state)
        if word == Global("torch", "Size") and len(arguments) == 1:
            return arguments[0]
        if word == Global("torch", "device"):
            return None
        raise Refused(f"the pickle calls {word.module}.{word.name} in a way that makes no tensor")

    def make_dict(self, arguments: tuple) -> dict:
        """A dict from nothing, another dict (which nobody else needs), or a list of pairs."""
        if not arguments or type(arguments[0]) is dict:
            return arguments[0] if arguments else {}
        pairs = arguments[0] if type(arguments[0]) is list else [None]
        self.steps += len(pairs)  # else few instructions could copy a long list many times
        made: dict = {}
        for pair in pairs:
            if not isinstance(pair, list | tuple) or len(pair) != 2:
                raise Refused("the pickle is damaged: it makes a dict of what are no pairs")
            set_items(made, list(pair))
        return made

    def storage(self, identity: Any) -> Storage:
        """The storage of a persistent id ("storage", class, key, device, size[, view])."""
        if type(identity) is not tuple or len(identity) not in (5, 6):
            raise Refused("the pickle refers to what is no storage", hint=SAVE_STATE)
        kind, cls, key, _, size = identity[:5]
        if kind != "storage" or type(cls) is not Global or cls.name not in STORAGES:
            raise Refused("the pickle refers to what is no storage", hint=SAVE_STATE)
        if type(key) is not str or not all_ints((size,)):
            raise Refused("the pickle has a storage without key or size")
        found = Storage(key, STORAGES[cls.name], size)
        if self.storages.setdefault(key, found).dtype != found.dtype:
            raise Refused("the pickle has a storage of two types", {"storage": short(key)})
        view = identity[5] if len(identity) == 6 else None
        if view is None:
            return found
        if type(view) is not tuple or len(view) != 3 or not all_ints(view[1:]):
            raise Refused("the pickle has a storage that is no part of another one")
        return Storage(key, found.dtype, view[2], view[1])  # view: its key, offset and size


def check_instruction(name: str) -> None:
    """Refuse an instruction before its argument is read."""
    if name not in KNOWN:
        raise Refused(f"the pickle has the instruction {name}, which no file of tensors needs",
                      hint=SAVE_STATE)  # fmt: skip


def known_word(module: Any, name: Any, words: set[Global]) -> Global:
    """The word if it is one of those that a machine knows.

    Raises:
        Refused: it is not. Nothing was imported to find that out.
    """
    if type(module) is not str or type(name) is not str:
        raise Refused("the pickle is damaged: it imports what is no name")
    word = Global(module, name)
    if word in words:
        return word
    raise Refused(
        f"the pickle wants {short(module)}.{short(name)}, which is no part of a file of tensors; "
        "nothing was run",
        hint=SAVE_STATE,
    )


def is_tensor_maker(value: Any) -> bool:
    """Whether this is one of PyTorch's functions that make tensors.

    The type is looked at first: to hash a tuple in a tuple in a tuple ... can crash Python.
    """
    return type(value) is Global and value in TENSOR_MAKERS


def set_items(target: Any, items: list[Any]) -> None:
    """Put keys and values, in turn, into a dict."""
    if type(target) is not dict or len(items) % 2:
        raise Refused("the pickle is damaged: it sets an item of what is no dict")
    for key, value in zip(items[::2], items[1::2]):
        # Of other keys a file could choose thousands with one hash, and each look-up would walk
        # through all of them. The states of optimizers have ints.
        is_small = type(key) is int and abs(key) < 1 << 31
        if type(key) is not str and not is_small:
            raise Refused("the pickle has a dict with a key that is neither text nor a small int",
                          {"type of the key": type(key).__name__})  # fmt: skip
        target[key] = value


def make_tensor(word: Global, arguments: tuple) -> PickledTensor:
    """A view from the arguments (storage, offset, shape, strides, ...) of PyTorch's functions."""
    if len(arguments) < 4 or type(arguments[0]) is not Storage:
        raise Refused("the pickle has a tensor without storage or shape")
    stored, offset, shape, strides = arguments[:4]
    dtype, after_hooks = stored.dtype, arguments[6:]
    if word.name == "_rebuild_tensor_v3":  # (..., requires_grad, hooks, dtype, metadata)
        given, *after_hooks = after_hooks or [None]
        if type(given) is not Global or given.name not in DTYPES:
            raise Refused("the pickle has a tensor of a type that is not known here")
        dtype = DTYPES[given.name]
    if isinstance(shape, tuple | list) and len(shape) > MAX_DIMS:
        raise Refused(f"the pickle has a tensor with more than {MAX_DIMS} dimensions")
    if not (all_ints((offset,)) and all_ints(shape) and all_ints(strides)):
        raise Refused("the pickle has a tensor whose offset, shape or strides are no numbers")
    if len(shape) != len(strides):
        raise Refused("the pickle has a tensor with more strides than dimensions, or fewer",
                      {"dimensions": len(shape), "strides": len(strides)})  # fmt: skip
    metadata = after_hooks[0] if after_hooks and type(after_hooks[0]) is dict else {}
    bits = (metadata.get(bit) is True for bit in ("conj", "neg"))
    return PickledTensor(stored, dtype, offset, tuple(shape), tuple(strides), *bits)


def all_ints(values: Any) -> bool:
    """Whether this is a short tuple or list of ints of 64 bits that are not negative."""
    return isinstance(values, tuple | list) and len(values) <= MAX_DIMS and all(
        type(n) is int and 0 <= n < 1 << 63 for n in values
    )  # fmt: skip
