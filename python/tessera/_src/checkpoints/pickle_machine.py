# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Reads pickles as data: a machine that knows the opcodes which make plain values, and runs no code.

What a pickle would import is looked up in a table by name, and refused by name where it is not there.
Nothing is imported, no attribute is set, and the only calls are those of the table. The opcodes are those
of Python's pickletools, protocols 0 to 5.
"""

from __future__ import annotations

import collections
import pickletools
from collections.abc import Callable, Mapping
from typing import Any


class Refused(Exception):
    """The pickle asks for something that is no data; the message says for what."""


class Damaged(Exception):
    """The bytes are no whole pickle."""


class Global:
    """A name of the table that stands on the stack; `call` is None for what may not be called."""

    __slots__ = ("name", "call")

    def __init__(self, name: str, call: Callable[..., Any] | None):
        self.name, self.call = name, call


_MARK = object()
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
# Opcodes whose argument is the value.
_VALUES = frozenset({
    "INT", "LONG", "LONG1", "LONG4", "BININT", "BININT1", "BININT2", "FLOAT", "BINFLOAT", "STRING",
    "BINSTRING", "SHORT_BINSTRING", "UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8", "BINBYTES",
    "SHORT_BINBYTES", "BINBYTES8",
})
_EMPTY = {"EMPTY_TUPLE": tuple, "EMPTY_LIST": list, "EMPTY_DICT": dict}
_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
_GETS, _PUTS = ("GET", "BINGET", "LONG_BINGET"), ("PUT", "BINPUT", "LONG_BINPUT")


def read_pickle(data: bytes, table: Mapping[str, Callable[..., Any] | Any],
                persistent: Callable[[Any], Any]) -> Any:
    """The value of a pickle.

    Args:
        table: "module.name" to a function, which the pickle may call, or to a value.
        persistent: makes the objects that the pickle names by a persistent id.

    Raises: Refused, Damaged; what the table's functions raise.
    """
    machine = _Machine(table, persistent)
    try:
        for opcode, argument, _ in pickletools.genops(data):
            if opcode.name == "STOP":
                return machine.result()
            machine.step(opcode.name, argument)
    except (LookupError, ValueError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise Damaged(f"{type(error).__name__}: {error}") from None
    raise Damaged("it has no end")


class _Machine:
    def __init__(self, table: Mapping[str, Any], persistent: Callable[[Any], Any]):
        self.table, self.persistent = table, persistent
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}

    def result(self) -> Any:
        value = self.stack.pop()
        if self.stack or value is _MARK or isinstance(value, Global):
            raise ValueError("what it leaves is no value")
        return value

    def step(self, name: str, argument: Any) -> None:
        stack = self.stack
        if name in ("PROTO", "FRAME"):
            return
        if name in _VALUES:
            stack.append(argument)
        elif name in _CONSTANTS:
            stack.append(_CONSTANTS[name])
        elif name in _EMPTY:
            stack.append(_EMPTY[name]())
        elif name == "MARK":
            stack.append(_MARK)
        elif name in _TUPLES:
            count = _TUPLES[name]
            if len(stack) < count:
                raise IndexError("a tuple of nothing")
            stack[-count:] = [tuple(stack[-count:])]
        elif name in ("TUPLE", "LIST", "DICT"):
            items = self.since_mark()
            stack.append(tuple(items) if name == "TUPLE" else items if name == "LIST"
                         else dict(_pairs(items)))
        elif name in ("APPEND", "APPENDS"):
            items = [stack.pop()] if name == "APPEND" else self.since_mark()
            _expect(stack[-1], list, name).extend(items)
        elif name in ("SETITEM", "SETITEMS"):
            items = [stack.pop(-2), stack.pop()] if name == "SETITEM" else self.since_mark()
            _expect(stack[-1], dict, name).update(_pairs(items))
        elif name in _GETS:
            stack.append(self.memo[int(argument)])
        elif name in _PUTS or name == "MEMOIZE":
            self.memo[len(self.memo) if name == "MEMOIZE" else int(argument)] = stack[-1]
        elif name == "POP":
            stack.pop()
        elif name == "POP_MARK":
            self.since_mark()
        elif name == "DUP":
            stack.append(stack[-1])
        else:
            self.step_by_name(name, argument)

    def step_by_name(self, name: str, argument: Any) -> None:
        """Opcodes that would reach code."""
        stack = self.stack
        if name in ("GLOBAL", "STACK_GLOBAL"):
            if name == "STACK_GLOBAL":
                attribute, module = stack.pop(), stack.pop()
                argument = f"{module} {attribute}"
            stack.append(self.look_up(argument.replace(" ", ".")))
        elif name in ("BINPERSID", "PERSID"):
            stack.append(self.persistent(stack.pop() if name == "BINPERSID" else argument))
        elif name in ("REDUCE", "NEWOBJ"):
            arguments, function = stack.pop(), stack.pop()
            if not isinstance(function, Global) or function.call is None or type(arguments) is not tuple:
                what = function.name if isinstance(function, Global) else type(function).__name__
                raise Refused(f"to call '{what}'")
            stack.append(function.call(*arguments))
        elif name == "BUILD":
            state = stack.pop()
            # Attributes of a state_dict are versions of its modules; those of other objects are refused.
            if not isinstance(stack[-1], collections.OrderedDict) or not isinstance(state, dict) \
                    or set(state) - {"_metadata"}:
                raise Refused(f"to set attributes of a {type(stack[-1]).__name__}")
        elif name in ("INST", "OBJ", "NEWOBJ_EX", "EXT1", "EXT2", "EXT4"):
            raise Refused(f"to make an object of '{str(argument).replace(' ', '.')}' ({name})")
        else:
            raise Refused(f"for opcode {name}")

    def look_up(self, name: str) -> Any:
        if name not in self.table:
            raise Refused(f"for '{name}'")
        found = self.table[name]
        return Global(name, found) if callable(found) else found

    def since_mark(self) -> list[Any]:
        """Takes what is on the stack above the last mark, and the mark."""
        for at in range(len(self.stack) - 1, -1, -1):
            if self.stack[at] is _MARK:
                items = self.stack[at + 1:]
                del self.stack[at:]
                return items
        raise IndexError("no mark")


def _pairs(items: list[Any]) -> list[tuple[Any, Any]]:
    if len(items) % 2:
        raise ValueError("a key without a value")
    return list(zip(items[::2], items[1::2]))


def _expect(value: Any, kind: type, name: str) -> Any:
    if not isinstance(value, kind):
        raise Refused(f"for {name} on a {type(value).__name__}")
    return value
