# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Effects of programs: printing and checking; and barriers that rewrites do not move values across."""

from __future__ import annotations

import builtins
import string
from typing import Any

import numpy as np

from tessera._src.core import dtypes, tree
from tessera._src.core.errors import CompileError, TraceError
from tessera._src.ops import elementwise, reductions
from tessera._src.tracing.operands import is_scalar, lift
from tessera._src.tracing.program_text import current, is_tracing, quoted
from tessera._src.tracing.tracer import Tracer


def print(format: str, *args: Any, ordered: bool = False, **kwargs: Any) -> None:  # noqa: A001, A002
    """Prints a line on sys.stdout when the program gets there, once for all devices.

        ts.debug.print("step {}: loss {loss}", step, loss=loss)

    Numbers of traced values have six digits, or as many more as it takes to read the same number back.

    Args:
        format: as for str.format; fields for traced values have no format of their own ("{x:.3f}").
        ordered: after all ordered prints before it, and before those behind it; loops and devices may
            run ahead of others.
    """
    if not is_tracing():
        builtins.print(_plain(format, args, kwargs))
        return
    text, values = _parse(format, args, kwargs)
    names, types = ", ".join(v.value for v in values), ", ".join(v.type for v in values)
    order = " ordered" if ordered else ""
    typed = f" : {types}" if types else ""
    current().emit_effect(f"tessera.debug_print {quoted(text)} ({names}){order}{typed}")


def check(predicate: Any, message: str, *args: Any, ordered: bool = False, **kwargs: Any) -> None:
    """Ends the run with an error where an element of the predicate is false.

        ts.debug.check(ts.isfinite(loss), "loss is {}", loss)

    Args:
        message: as `format` of ts.debug.print.
        ordered: nothing that is ordered and behind it happens then.

    Raises:
        CompileError: from the call that ran the program.
    """
    if not is_tracing():
        if not np.all(np.asarray(predicate)):
            raise CompileError("TS5005", _plain(message, args, kwargs))
        return
    holds = elementwise.as_bool(predicate)
    text, values = _parse(message, args, kwargs)
    names, types = ", ".join(v.value for v in values), ", ".join(v.type for v in values)
    order = " ordered" if ordered else ""
    current().emit_effect(f"tessera.debug_check {holds.value} {quoted(text)} ({names}){order} : "
                          f"{holds.type}, ({types})")


def check_finite(value: Any, name: str = "a value") -> None:
    """Ends the run with an error where a tree of floats holds an infinity or NaN."""
    leaves, structure = tree.flatten(value)
    for leaf, path in zip(leaves, tree.paths(structure)):
        if is_tracing():
            traced = lift(leaf)
            finite = elementwise.less(elementwise.abs(traced), np.inf)
            bad = reductions.count_nonzero(elementwise.logical_not(finite))
        else:
            traced = np.asarray(leaf)
            bad = (~np.isfinite(traced)).sum() if dtypes.is_float(traced.dtype) else 0
        if dtypes.is_float(traced.dtype):
            where = _braces(f"{name} at '{path}'" if path else name)
            check(bad == 0, f"{where} has {{}} elements that are not finite", bad)


def optimization_barrier(values: Any) -> Any:
    """The values unchanged, as others than those it takes: nothing is merged or moved across it.

    A tree of arrays. What is computed from its results is computed, even if it was before.
    """
    leaves, structure = tree.flatten(values)
    if not leaves:
        return values
    traced = [lift(leaf) for leaf in leaves]
    program = current()
    names, types = ", ".join(v.value for v in traced), ", ".join(v.type for v in traced)
    results = program.emit_several(f"tessera.barrier {names} : ({types}) -> ({types})", len(traced))
    return tree.unflatten(structure, [Tracer(program, name, v.type, v.shape, v.dtype)
                                      for name, v in zip(results, traced)])


def _plain(format: str, args: tuple, kwargs: dict) -> str:  # noqa: A002
    return format.format(*args, **kwargs)


def _is_traced(value: Any) -> bool:
    return isinstance(value, Tracer) or hasattr(value, "__array__") and not isinstance(value, np.generic)


def _parse(format: Any, args: tuple, kwargs: dict) -> tuple[str, list[Tracer]]:  # noqa: A002
    """The text with {} for each traced value in turn, and these; other values are in the text."""
    if not isinstance(format, str):
        raise TraceError("TS1044", "the format must be a string", got=repr(format)[:80])
    text, values, count = "", [], 0
    try:
        fields = list(string.Formatter().parse(format))
    except ValueError as error:
        raise TraceError("TS1044", f"the format is malformed: {error}", got=repr(format)) from None
    for literal, field, spec, conversion in fields:
        text += _braces(literal)
        if field is None:
            continue
        if not field:
            field, count = str(count), count + 1
        try:
            value = args[int(field)] if field.isdigit() else kwargs[field]
        except (IndexError, KeyError):
            raise TraceError("TS1044", f"the format names '{field}', which is not given", got=repr(format),
                             choices=[*map(str, range(len(args))), *kwargs]) from None
        if _is_traced(value):
            if spec or conversion:
                raise TraceError("TS1044", f"the field '{field}' has a format, and is a traced value",
                                 got=repr(format), hint="leave the format out, or print ts.round(x, 3)")
            text += "{}"
            values.append(lift(value))
        elif tree.flatten(value)[1] == tree.LEAF or is_scalar(value):
            form = f"{{{'!' + conversion if conversion else ''}:{spec or ''}}}"
            text += _braces(_plain(form, (value,), {}))
        else:
            raise TraceError("TS1044", f"the field '{field}' is a {type(value).__name__}",
                             hint="print its leaves one by one")
    return text, values


def _braces(text: str) -> str:
    return text.replace("{", "{{").replace("}", "}}")
