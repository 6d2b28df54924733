# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Every op of the dialect, for each element type it takes, against the reference interpreter.

On the cpu device and on the emulated one, which runs the NVVM module that goes to ptxas. The list of
ops comes from the dialect, so an op without a case fails; so does an element type that an op takes
and no case names.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pytest

from conftest import needs_runtime
from elementwise_table import TABLE
from programs import mesh_tensor, run
from tessera._src.core import dtypes
from tessera._src.core.errors import CompileError
from tessera._src.programs import native

FLOATS = ("f32", "bf16", "f16", "f64")
INTEGERS = ("i32", "i64")
NUMBERS = FLOATS + INTEGERS
EVERY = NUMBERS + ("i1",)
# The dialect has ui32, NumPy's side has not: such programs convert on the way in and out.
UNSIGNED = "ui32"
# A last place of the type, and the error of the functions that are approximated in f32.
TOLERANCE = {"f64": 1e-12, "f32": 2e-5, "f16": 2e-3, "bf16": 1.6e-2}
# Scalars, one element, fewer elements than a vector, several blocks with a ragged end.
SHAPES = ("", "1x", "2x3x5x", "7x129x33x")


@dataclass(frozen=True)
class Case:
    """One use of an op. `E` stands for the element type, `T(2x3xE)` for a tensor's type.

    Arguments are "shape values": what kind of numbers they hold, see `_numbers`.
    """

    arguments: tuple[str, ...]
    line: str
    result: str
    types: tuple[str, ...]

    def types_and_unsigned(self) -> tuple[str, ...]:
        return self.types + ((UNSIGNED,) if "i32" in self.types else ())


def _unary(op: str, types: Sequence[str], values: str = "any") -> list[Case]:
    return [Case((f"{s}E {values}",), f"{op} $0 : T({s}E)", f"{s}E", tuple(types)) for s in SHAPES]


def _binary(op: str, types: Sequence[str], values: str = "any", right: str = "any") -> list[Case]:
    return [Case((f"{s}E {values}", f"{s}E {right}"), f"{op} $0, $1 : T({s}E)", f"{s}E", tuple(types))
            for s in SHAPES]


def _of_table(op: str) -> list[Case]:
    row = TABLE[op]
    if row.arity == 1:
        return _unary(op, row.types)
    if op == "pow":
        return _binary(op, FLOATS, "any", "tame") + _binary(op, INTEGERS, "near one", "tame")
    if op in ("div", "rem"):
        return _binary(op, row.types, right="divisor")
    if op in ("shift_left", "shift_right"):
        return _binary(op, row.types, right="tame") + _binary(op, row.types)
    return _binary(op, row.types)


def _convert() -> list[Case]:
    return [Case((f"{s}E any",), f"convert $0 : T({s}E) -> T({s}{to})", f"{s}{to}", EVERY)
            for to in EVERY for s in SHAPES[:3]]


def _contract(spec: str, left: str, right: str, out: str) -> Case:
    return Case((f"{left}E tame", f"{right}E tame"),
                f'contract $0, $1 "{spec}" : T({left}E), T({right}E) -> T({out}E)', f"{out}E", NUMBERS)


def _reduce(shape: str, dims: str, out: str) -> list[Case]:
    return [Case((f"{shape}E {'near one' if kind == 'prod' else 'tame'}",),
                 f"reduce {kind} $0 dims {dims} : T({shape}E) -> T({out}E)", f"{out}E", NUMBERS)
            for kind in ("sum", "max", "min", "prod")]


def _cumulative(shape: str, dim: int) -> list[Case]:
    return [Case((f"{shape}E {'near one' if kind == 'prod' else 'tame'}",),
                 f"cumulative {kind} $0 dim {dim}{flags} : T({shape}E) -> T({shape}E)", f"{shape}E", NUMBERS)
            for kind, flags in (("sum", ""), ("sum", " exclusive reverse"), ("prod", " reverse"),
                                ("max", ""), ("min", " exclusive"))]


def _attention(q: str, k: str, v: str, out: str, extra: str = "", bias: str = "") -> Case:
    arguments = tuple(f"{s}E tame" for s in (q, k, v, bias) if s)
    head = f"attention $0, $1, $2 {'bias $3 ' if bias else ''}scale 0.5{extra}"
    given = ", ".join(f"T({s}E)" for s in (q, k, v, bias) if s)
    return Case(arguments, f"{head} : {given} -> T({out}E)", f"{out}E", FLOATS)


def _attention_parts(q: str, k: str, v: str, extra: str = "", bias: str = "") -> dict[str, list[Case]]:
    """Uses of the ops of the gradients of attention, whose sums are f32, or f64 for f64."""
    batch, queries, heads, _ = q.split("x", 3)
    rows, output = f"{batch}x{heads}x{queries}x", f"{batch}x{queries}x{heads}x{v.split('x')[3]}x"
    made: dict[str, list[Case]] = {"attention_logsumexp": [], "attention_gradient": []}
    for narrow, wide in (("E", "f32"), ("f64", "f64")):
        types = ("f32", "bf16", "f16") if narrow == "E" else ("f64",)

        def add(op: str, head: str, given: Sequence[str], result: str) -> None:
            given = [*given, *[f"{bias}{narrow}"] * bool(bias)]
            names = ", ".join(f"${i}" for i in range(len(given) - bool(bias)))
            names += f" bias ${len(given) - 1}" * bool(bias)
            line = f"{head} {names} scale 0.5{extra} : {', '.join(f'T({s})' for s in given)}"
            made[op].append(Case(tuple(f"{s} tame" for s in given), f"{line} -> T({result}{wide})",
                                 f"{result}{wide}", types))

        add("attention_logsumexp", "attention_logsumexp", [q + narrow, k + narrow], rows)
        for of, result in (("query", q), ("key", k), ("value", v)):
            add("attention_gradient", f"attention_gradient of {of}",
                [q + narrow, k + narrow, v + narrow, rows + wide, rows + wide, output + narrow], result)
    return made


_ATTENTION_PARTS = [
    _attention_parts("2x5x4x3x", "2x7x2x3x", "2x7x2x5x"),
    _attention_parts("1x5x2x3x", "1x5x2x3x", "1x5x2x3x", extra=" causal"),
    _attention_parts("1x3x2x3x", "1x5x2x3x", "1x5x2x3x", extra=" causal"),
    _attention_parts("1x5x2x3x", "1x3x2x3x", "1x3x2x3x", extra=" causal"),
    _attention_parts("2x3x2x4x", "2x33x2x4x", "2x33x2x4x", bias="2x1x1x33x"),
    _attention_parts("1x5x2x3x", "1x7x1x3x", "1x7x1x3x", bias="1x2x5x7x"),
    _attention_parts("1x129x4x5x", "1x129x2x5x", "1x129x2x3x", extra=" causal"),
    _attention_parts("1x35x2x5x", "1x300x2x5x", "1x300x2x33x", bias="1x2x1x300x")]


def _norm(op: str, shape: str, columns: str) -> Case:
    extra = 2 if op == "layer_norm" else 1
    names = "".join(f", ${i + 1}" for i in range(extra))
    given = f", T({columns}E)" * extra
    return Case((f"{shape}E tame",) + (f"{columns}E tame",) * extra,
                f"{op} $0{names} epsilon 1.0e-2 : T({shape}E){given} -> T({shape}E)",
                f"{shape}E", FLOATS)


def _gather(source: str, indices: str, index_type: str, dims: Sequence[int], out: str,
            batch: str = "") -> Case:
    extents = [source.split("x")[dim] for dim in dims]
    names = ", ".join(f"${i + 1}" for i in range(len(dims)))
    types = ", ".join([f"T({source}E)"] + [f"T({indices}{index_type})"] * len(dims))
    return Case((f"{source}E any", *(f"{indices}{index_type} index {n}" for n in extents)),
                f"gather $0 [{names}] dims {list(dims)}{batch} : ({types}) -> T({out}E)", f"{out}E", EVERY)


def _scatter(kind: str, source: str, indices: str, index_type: str, dims: Sequence[int], updates: str,
             batch: str = "") -> Case:
    extents = [source.split("x")[dim] for dim in dims]
    count = len(dims)
    names = ", ".join(f"${i + 1}" for i in range(count))
    types = ", ".join([f"T({source}E)"] + [f"T({indices}{index_type})"] * count + [f"T({updates}E)"])
    return Case((f"{source}E any", *(f"{indices}{index_type} index {n}" for n in extents), f"{updates}E any"),
                f"scatter {kind} $0 [{names}] = ${count + 1} dims {list(dims)}{batch} : ({types}) "
                f"-> T({source}E)", f"{source}E", NUMBERS if kind == "add" else EVERY)


def _box_case(line: str, shape: str, box: str) -> Case:
    rank = shape.count("x")
    types = ", ".join([f"T({shape}E)"] + ["T(i32)"] * rank)
    line = line.format(names=", ".join(f"${i + 1}" for i in range(rank)), types=types, box=box, shape=shape,
                       update=f"${rank + 1}")
    updates = "update" in line
    return Case((f"{shape}E any", *["i32 index 9"] * rank, *[f"{box}E any"] * updates), line,
                f"{shape if updates else box}E", EVERY)


_SCATTERS = [("7x5x", "13x", "i32", [0], "13x5x"), ("7x5x", "13x", "i64", [1], "7x13x"),
             ("7x", "129x", "i32", [0], "129x"), ("7x", "", "i32", [0], ""),
             ("3x5x2x", "7x", "i32", [0, 2], "7x5x"), ("129x33x", "5x", "i32", [0], "5x33x"),
             ("3x7x5x", "3x4x", "i32", [1], "3x4x5x", " batch [0] = [0]"),
             ("4x3000x", "2x3x", "i32", [0], "2x3x3000x"),
             ("5x6x", "300x6x", "i32", [0], "300x6x", " batch [1] = [1]")]


def _one(arguments: str, line: str, result: str, types: Sequence[str] = EVERY) -> Case:
    return Case(tuple(arguments.split(", ")) if arguments else (), line, result, tuple(types))


CASES: dict[str, list[Case]] = {
    **{op: _of_table(op) for op in TABLE},
    "compare": [Case((f"{s}E any", f"{s}E any"),
                     f"compare {way} $0, $1 : T({s}E), T({s}E) -> T({s}i1)", f"{s}i1", EVERY)
                for way in ("eq", "ne", "lt", "le", "gt", "ge") for s in SHAPES[:3]],
    "select": [Case((f"{s}i1 any", f"{s}E any", f"{s}E any"),
                    f"select $0, $1, $2 : T({s}i1), T({s}E), T({s}E) -> T({s}E)", f"{s}E", EVERY)
               for s in SHAPES],
    "convert": _convert(),
    "contract": [
        _contract("mk,kn->mn", "7x33x", "33x129x", "7x129x"),
        _contract("bhqd,bkhd->bhqk", "2x3x5x7x", "2x4x3x7x", "2x3x5x4x"),
        _contract("km,nk->nm", "5x2x", "3x5x", "3x2x"),
        _contract("abk,kb->ba", "2x3x5x", "5x3x", "3x2x"),
        _contract("k,k->", "7x", "7x", ""),
        _contract("m,->m", "7x", "", "7x"),
        _contract(",mn->nm", "", "3x5x", "5x3x"),
        _contract(",->", "", "", ""),
        _contract("m,n->mn", "3x", "5x", "3x5x"),
        _contract("mk,nk->mn", "65x129x", "33x129x", "65x33x"),
        # Tiles of the tensor cores, their rows along and across the summed dimension.
        _contract("mk,nk->mn", "80x96x", "72x96x", "80x72x"),
        _contract("km,kn->mn", "48x32x", "48x40x", "32x40x"),
        _contract("abcde,fbcde->af", "3x1x5x7x3x", "5x1x5x7x3x", "3x5x"),
    ],
    "reduce": [*_reduce("2x3x5x", "[1]", "2x5x"), *_reduce("2x3x5x", "[0, 2]", "3x"),
               *_reduce("7x33x", "[0, 1]", ""), *_reduce("", "[]", ""), *_reduce("1x", "[0]", ""),
               *_reduce("3x9001x", "[1]", "3x"), *_reduce("129x33x", "[0]", "33x"),
               *_reduce("5x7x3x33x1x", "[1, 2, 3]", "5x1x")],
    "cumulative": [*_cumulative("2x3x5x", 1), *_cumulative("2x37x", 1), *_cumulative("33x40x", 0),
                   *_cumulative("3x9001x", 1), *_cumulative("1x", 0)],
    "reshape": [_one("2x3x5xE any", "reshape $0 : T(2x3x5xE) -> T(5x6xE)", "5x6xE"),
                _one("1xE any", "reshape $0 : T(1xE) -> T(E)", "E"),
                _one("E any", "reshape $0 : T(E) -> T(1x1xE)", "1x1xE")],
    "transpose": [
        _one("2x3x5xE any", "transpose $0 [2, 0, 1] : T(2x3x5xE) -> T(5x2x3xE)", "5x2x3xE"),
        _one("7x129x33xE any", "transpose $0 [2, 1, 0] : T(7x129x33xE) -> T(33x129x7xE)",
             "33x129x7xE"),
        _one("1x3x5x7x33xE any",
             "transpose $0 [4, 2, 0, 3, 1] : T(1x3x5x7x33xE) -> T(33x5x1x7x3xE)", "33x5x1x7x3xE"),
        _one("E any", "transpose $0 [] : T(E) -> T(E)", "E")],
    "broadcast": [
        _one("2x3xE any", "broadcast $0 dims [0, 2] : T(2x3xE) -> T(2x5x3xE)", "2x5x3xE"),
        _one("1x3xE any", "broadcast $0 dims [0, 1] : T(1x3xE) -> T(129x3xE)", "129x3xE"),
        _one("1x33xE any", "broadcast $0 dims [0, 1] : T(1x33xE) -> T(129x33xE)", "129x33xE"),
        _one("E any", "broadcast $0 dims [] : T(E) -> T(7x5xE)", "7x5xE"),
        _one("E any", "broadcast $0 dims [] : T(E) -> T(E)", "E"),
        _one("3x1x7xE any", "broadcast $0 dims [0, 2, 4] : T(3x1x7xE) -> T(3x5x33x1x7xE)",
             "3x5x33x1x7xE")],
    "slice": [
        _one("7x9xE any", "slice $0 [1, 2] to [6, 9] by [1, 1] : T(7x9xE) -> T(5x7xE)", "5x7xE"),
        _one("7x9xE any", "slice $0 [1, 0] to [7, 9] by [3, 2] : T(7x9xE) -> T(2x5xE)", "2x5xE"),
        _one("E any", "slice $0 [] to [] by [] : T(E) -> T(E)", "E")],
    "concatenate": [
        _one("2x3xE any, 2x5xE any, 2x1xE any",
             "concatenate $0, $1, $2 dim 1 : (T(2x3xE), T(2x5xE), T(2x1xE)) -> T(2x9xE)", "2x9xE"),
        _one("33x7xE any, 129x7xE any",
             "concatenate $0, $1 dim 0 : (T(33x7xE), T(129x7xE)) -> T(162x7xE)", "162x7xE"),
        _one("1x3x5x7xE any, 1x3x1x7xE any",
             "concatenate $0, $1 dim 2 : (T(1x3x5x7xE), T(1x3x1x7xE)) -> T(1x3x6x7xE)",
             "1x3x6x7xE")],
    "pad": [_one("2x3xE any", f"pad $0 low [1, 0] high [0, 4] value {value} : T(2x3xE) -> T(3x7xE)",
                 "3x7xE", types)
            for value, types in (("1.5 : E", FLOATS), ("7 : E", INTEGERS), ("true", ("i1",)))]
    + [_one("E any", "pad $0 low [] high [] value 1.5 : E : T(E) -> T(E)", "E", FLOATS)],
    "gather": [_gather("7x5x", "2x3x", "i32", [0], "2x3x5x"), _gather("7x5x", "3x", "i64", [1], "7x3x"),
               _gather("129x33x", "7x", "i32", [0], "7x33x"), _gather("7x", "", "i32", [0], ""),
               _gather("7x5x", "", "i64", [1], "7x"),
               _gather("5x3x7x3x", "7x", "i32", [2], "5x3x7x3x"),
               _gather("5x3000x", "3x", "i32", [0], "3x3000x"),
               _gather("7x5x", "9x", "i32", [0, 1], "9x"), _gather("7x5x3x", "9x", "i64", [0, 2], "9x5x"),
               _gather("3x5x7x", "3x5x4x", "i32", [2], "3x5x4x", " batch [0, 1] = [0, 1]"),
               _gather("33x129x", "5x129x", "i32", [0], "5x129x", " batch [1] = [1]"),
               _gather("3x7x5x", "4x3x", "i64", [1], "3x4x5x", " batch [0] = [1]")],
    "scatter": [_scatter(kind, *case) for kind in ("set", "add", "max", "min") for case in _SCATTERS],
    "argsort": [_one(f"{shape}E any", f"argsort $0 dim {dim}{way} : T({shape}E) -> T({shape}i32)",
                     f"{shape}i32", EVERY)
                for shape, dim in (("7x", 0), ("1x", 0), ("3x33x", 1), ("129x3x", 0), ("2x3x5x", 1),
                                   ("300x", 0))
                for way in ("", " descending")],
    "dynamic_slice": [_box_case("dynamic_slice $0 [{names}] : ({types}) -> T({box}E)", shape, box)
                      for shape, box in (("7x", "2x"), ("7x5x", "1x5x"), ("129x33x", "7x13x"),
                                         ("3x2000x", "3x1500x"))],
    "dynamic_update_slice": [
        _box_case("dynamic_update_slice $0 [{names}] = {update} : ({types}, T({box}E)) -> T({shape}E)", shape,
                  box)
        for shape, box in (("7x", "2x"), ("7x5x", "1x5x"), ("129x33x", "7x13x"), ("3x9001x", "3x8191x"))],
    "iota": [_one("", f"iota dim {d} : T(7x129x3xE)", "7x129x3xE", NUMBERS) for d in range(3)],
    "rng": [
        *[_one("2xi32 any", f"rng {kind} $0 [7, 129] : T(2xi32) -> T(7x129xE)", "7x129xE", FLOATS)
          for kind in ("uniform", "normal")],
        _one("2xi32 any", "rng uniform $0 [] : T(2xi32) -> T(E)", "E", FLOATS),
        *[_one("5x3x2xi32 any", f"rng {kind} $0 [5, 3, 37] : T(5x3x2xi32) -> T(5x3x37xE)", "5x3x37xE",
               ("f32",))
          for kind in ("uniform", "normal")],
        _one("129x2xi32 any", "rng uniform $0 [129] : T(129x2xi32) -> T(129xE)", "129xE", ("f32",)),
        _one("2xi64 any", "rng bits $0 [3, 5] : T(2xi64) -> T(3x5xE)", "3x5xE", ("i32",))],
    "constant": [
        _one("", "constant dense<[1.5, -2.0, 0.0]> : tensor<3xE> : T(3xE)", "3xE", FLOATS),
        _one("", "constant dense<1.5> : tensor<E> : T(E)", "E", FLOATS),
        _one("", "constant dense<1.5> : tensor<7x33xE> : T(7x33xE)", "7x33xE", FLOATS),
        _one("", "constant dense<[7, 0, 9]> : tensor<3xE> : T(3xE)", "3xE", INTEGERS),
        _one("", "constant dense<[true, false]> : tensor<2xE> : T(2xE)", "2xE", ("i1",))],
    "gelu": [Case((f"{s}E any",), f"gelu $0 approximation {how} : T({s}E) -> T({s}E)", f"{s}E", FLOATS)
             for how in ("none", "tanh") for s in SHAPES],
    "softmax": [
        _one("2x3x5xE tame", "softmax $0 dim 1 : T(2x3x5xE) -> T(2x3x5xE)", "2x3x5xE", FLOATS),
        _one("129x33xE tame", "softmax $0 dim 1 : T(129x33xE) -> T(129x33xE)", "129x33xE", FLOATS),
        _one("3x1xE tame", "softmax $0 dim 1 : T(3x1xE) -> T(3x1xE)", "3x1xE", FLOATS),
        _one("3x5x1x7x3xE tame", "softmax $0 dim 3 : T(3x5x1x7x3xE) -> T(3x5x1x7x3xE)",
             "3x5x1x7x3xE", FLOATS)],
    **{op: [_norm(op, "2x3x5x", "5x"), _norm(op, "129x33x", "33x"), _norm(op, "3x1x", "1x")]
       for op in ("layer_norm", "rms_norm")},
    "logsumexp": [
        *[Case((f"{s}E tame",), f"logsumexp $0 dim {d} : T({s}E) -> T({out}{wide})", f"{out}{wide}", types)
          for s, d, out in (("2x3x5x", 1, "2x5x"), ("129x33x", 1, "129x"), ("129x33x", 0, "33x"),
                            ("3x40001x", 1, "3x"), ("1x", 0, ""))
          for wide, types in (("f32", ("f32", "bf16", "f16")), ("f64", ("f64",)))],
        # All of a row -inf, one +inf or NaN among them, and numbers that are far apart.
        *[Case((f"{s}E any",), f"logsumexp $0 dim {d} : T({s}E) -> T({out}{wide})", f"{out}{wide}", types)
          for s, d, out in (("7x3x", 1, "7x"), ("3x9001x", 1, "3x"))
          for wide, types in (("f32", ("f32", "bf16", "f16")), ("f64", ("f64",)))]],
    "cross_entropy": [
        Case((f"{s}{v}xE tame", f"{s}{label} index {v}"),
             f"cross_entropy $0, $1 smoothing {smoothing} z_loss {z}{ignored} : T({s}{v}xE), T({s}{label}) "
             f"-> T({s}{wide})", f"{s}{wide}", types)
        for s, v, label, smoothing, z, ignored in (
            ("2x3x", 5, "i32", 0.0, 0.0, ""), ("129x", 33, "i64", 0.1, 0.01, " ignore 8"),
            ("3x", 40001, "i32", 0.25, 0.0, " ignore -1"), ("", 7, "i32", 1.0, 0.0, ""))
        for wide, types in (("f32", ("f32", "bf16", "f16")), ("f64", ("f64",)))],
    "norm_tangent": [
        *[Case((f"{s}E tame", f"{s}E tame"), f"norm_tangent $0 at $1 epsilon 1.0e-2{how} : T({s}E), T({s}E) "
               f"-> T({s}E)", f"{s}E", FLOATS) for s in ("2x3x5x", "129x33x") for how in ("", " centred")],
        Case(("5x7xf32 tame", "5x7xE tame"), "norm_tangent $0 at $1 epsilon 1.0e-2 centred : T(5x7xf32), "
             "T(5x7xE) -> T(5x7xf32)", "5x7xf32", ("bf16", "f16"))],
    "attention": [
        _attention("2x5x4x3x", "2x7x2x3x", "2x7x2x5x", "2x5x4x5x"),
        _attention("1x5x2x3x", "1x5x2x3x", "1x5x2x3x", "1x5x2x3x", extra=" causal"),
        _attention("1x3x2x3x", "1x5x2x3x", "1x5x2x3x", "1x3x2x3x", extra=" causal"),
        _attention("1x5x2x3x", "1x3x2x3x", "1x3x2x3x", "1x5x2x3x", extra=" causal"),
        _attention("2x3x2x4x", "2x33x2x4x", "2x33x2x4x", "2x3x2x4x", bias="2x1x1x33x"),
        _attention("1x129x4x5x", "1x129x2x5x", "1x129x2x3x", "1x129x4x3x", extra=" causal"),
        _attention("1x1x2x5x", "1x129x2x5x", "1x129x2x33x", "1x1x2x33x", bias="1x2x1x129x")],
    **{op: [case for parts in _ATTENTION_PARTS for case in parts[op]]
       for op in ("attention_logsumexp", "attention_gradient")},
    "constrain": [_one("4x6xE any", f"constrain $0 to <@mesh, [{{tp}}, {{?}}]> : T(4x6xE) -> T(4x6xE)",
                       "4x6xE"),
                  _one("E any", "constrain $0 to <@mesh, []> : T(E) -> T(E)", "E")],
}


# Built on functions that GPUs approximate in f32; the compiler says so.
_APPROXIMATED = {op for op, row in TABLE.items() if row.types == FLOATS and not row.exact} - {"sqrt", "rsqrt"}
NOT_IN_F64_ON_GPUS = _APPROXIMATED | {"pow", "gelu", "softmax", "logsumexp", "cross_entropy", "attention",
                                      "attention_logsumexp", "attention_gradient", "rng"}
# Ops that no program begins with: what makes them, and so tests them.
MADE_BY_PASSES = {"reshard": "tessera-insert-reshards, as for the case of constrain",
                  "custom_tangent": "tessera-differentiate, which transposes it",
                  "attention_tangent": "tessera-differentiate, which transposes it"}
# What tessera-inline-calls replaces before any other pass: in test/python/derivatives.
INLINED = {"call", "stop_gradient", "checkpoint_name"}

# Ops with regions or effects, whose programs are in test/lit/lib/Interpreter/control-flow.mlir.
CONTROL = {"scan", "while", "cond", "yield", "barrier", "debug_print", "debug_check"}


def _numbers(spec: str, rng: np.random.Generator) -> np.ndarray:
    """An array for an argument: "2x3xf32 any"."""
    text, _, kind = spec.partition(" ")
    *sizes, name = text.split("x")
    shape, dtype = tuple(int(n) for n in sizes), dtypes.BY_NAME[name]
    count = int(np.prod(shape))
    if kind.startswith("index"):
        return rng.integers(-2, int(kind.split()[1]) + 2, shape).astype(dtype)
    if dtype == np.bool_:
        return rng.integers(0, 2, shape).astype(dtype)
    if dtypes.is_int(dtype):
        bounds = np.iinfo(dtype)
        if kind == "tame":
            return rng.integers(-3, 4, shape).astype(dtype)
        if kind == "near one":
            # Odd numbers, whose product never wraps to 0.
            return rng.choice([-3, -1, 1, 3], shape).astype(dtype)
        values = rng.integers(bounds.min, bounds.max, count, dtype, endpoint=True)
        extremes = [bounds.min, bounds.max, -1, 0, 1, 7, -7, bounds.min]
        values[: max(0, count - 1)][: len(extremes)] = extremes[: max(0, count - 1)]
        if kind == "divisor":
            # Quotients of all sizes; -1 meets the smallest number above.
            values = np.where(rng.integers(0, 2, count), values, rng.integers(1, 9, count))
            values[:1] = -1
            values[values == 0] = 3
        return values.astype(dtype).reshape(shape)
    if kind == "near one":
        # The product of all keeps its magnitude.
        return np.asarray(1 + rng.uniform(-1, 1, shape) / np.sqrt(max(16, count)), dtype)
    values = rng.standard_normal(count) * 3
    if kind in ("any", "divisor") and count > 12:
        values[:10] = [0.0, -0.0, np.inf, -np.inf, np.nan, 1e-3, 80.0, -80.0, 1.0, -1.0]
    return values.astype(dtype).reshape(shape)


def _program(op: str, target: str, cases: list[Case],
             ) -> tuple[str, list[np.ndarray], list[np.ndarray], list[str]]:
    """Cases of an op as one program: text, inputs, memory for results, their names."""
    rng = np.random.default_rng(len(op))
    parameters, lines, results, inputs, outputs, names = [], [], [], [], [], []

    def emit(text: str) -> str:
        lines.append(f"  %v{len(lines)} = tessera.{text}")
        return f"%v{len(lines) - 1}"

    def typed(text: str) -> str:
        while "T(" in text:
            head, _, rest = text.partition("T(")
            inner, _, tail = rest.partition(")")
            text = head + mesh_tensor(*inner.split(" ", 1)) + tail
        return text

    for case in cases:
        for element in case.types_and_unsigned():
            if element == "f64" and target == "emulated" and op in NOT_IN_F64_ON_GPUS:
                continue
            def of(text: str, name: str = element) -> str:
                return text.replace("E", name)

            line = of(case.line)
            for i, argument in enumerate(case.arguments):
                kind = of(argument, "i32" if element == UNSIGNED else element)
                inputs.append(_numbers(kind, rng))
                value = f"%a{len(inputs) - 1}"
                parameters.append(f"{value}: {mesh_tensor(kind.split()[0])}")
                if element == UNSIGNED and "E" in argument:
                    value = emit(typed(f"convert {value} : T({kind.split()[0]}) "
                                       f"-> T({of(argument.split()[0])})"))
                line = line.replace(f"${i}", value)
            value, result = emit(typed(line)), of(case.result)
            if UNSIGNED in result:
                wide = result.replace(UNSIGNED, "i64")
                value = emit(typed(f"convert {value} : T({result}) -> T({wide})"))
                result = wide
            results.append((value, typed(f"T({result})")))
            *sizes, name = result.split(" ")[0].split("x")
            outputs.append(np.zeros([int(n) for n in sizes], dtypes.BY_NAME[name]))
            names.append(line)
    text = "\n".join([
        f"dist.mesh @mesh <[tp = {2 if op == 'constrain' else 1}]>",
        f"func.func @main({', '.join(parameters)}) -> ({', '.join(t for _, t in results)}) {{", *lines,
        f"  return {', '.join(v for v, _ in results)} : {', '.join(t for _, t in results)}", "}", ""])
    return text, inputs, outputs, names


@needs_runtime
def test_every_op_of_the_dialect_has_a_case(opt):
    listed = opt("module {}", "--test-list-ops=dialect=tessera")
    ops = {line.removeprefix("tessera.") for line in listed.splitlines() if line.startswith("tessera.")}
    assert ops == CASES.keys() | MADE_BY_PASSES.keys() | CONTROL | INLINED


@needs_runtime
@pytest.mark.parametrize("op", CASES)
def test_other_element_types_are_refused(op):
    taken = {t for case in CASES[op] for t in case.types_and_unsigned()}
    for element in set(EVERY) - taken:
        text, inputs, outputs, _ = _program(op, "cpu", [replace(CASES[op][0], types=(element,))])
        with pytest.raises(CompileError):
            native.interpret(text, inputs, outputs)


@needs_runtime
def test_gpus_refuse_functions_of_f64_with_a_way_out():
    case = replace(CASES["exp"][2], types=("f64",))
    text, inputs, _, _ = _program("exp", "cpu", [case])
    with pytest.raises(CompileError, match="compute it in f32"):
        run(text, inputs, "emulated")


@pytest.mark.parametrize("target", ["cpu", "emulated"])
@pytest.mark.parametrize("op", CASES)
def test_runs_equal_the_interpreter(op, target):
    text, inputs, wanted, names = _program(op, target, CASES[op])
    native.interpret(text, inputs, wanted)
    for got, want, name in zip(run(text, inputs, target), wanted, names):
        assert got.dtype == want.dtype, name
        tolerance = TOLERANCE.get(dtypes.MLIR_NAMES[want.dtype], 0)
        wide = (lambda x: x.astype(np.float64)) if tolerance else (lambda x: x)
        # Terms of a sum that cancel leave the rounding of the largest.
        size = np.max(np.abs(wide(want)), where=np.isfinite(wide(want)), initial=1) if tolerance else 0
        np.testing.assert_allclose(wide(got), wide(want), rtol=tolerance, atol=tolerance * size / 10,
                                   err_msg=name)


def _elementwise(body: str, inputs: list[np.ndarray], result: str, target: str) -> np.ndarray:
    """One op on one-dimensional arrays: in `body`, X and R are the types of arguments and result."""
    name = dtypes.MLIR_NAMES[inputs[0].dtype]
    given, made = mesh_tensor(f"{len(inputs[0])}x{name}"), mesh_tensor(f"{len(inputs[0])}x{result}")
    parameters = ", ".join(f"%a{i}: {given}" for i in range(len(inputs)))
    body = body.replace("X", given).replace("R", made)
    return run(f"dist.mesh @mesh <[tp = 1]>\nfunc.func @main({parameters}) -> {made} {{\n"
               f"  %0 = tessera.{body}\n  return %0 : {made}\n}}\n", inputs, target)[0]


@needs_runtime
@pytest.mark.parametrize("target", ["cpu", "emulated"])
@pytest.mark.parametrize("op", ["div", "rem"])
def test_integers_divided_by_zero_do_not_end_the_process(op, target):
    x, y = np.array([7, -7, 0, 9], np.int64), np.array([0, 0, 0, 4], np.int64)
    assert _elementwise(f"{op} %a0, %a1 : X", [x, y], "i64", target)[3] == (2 if op == "div" else 1)


@needs_runtime
@pytest.mark.parametrize("target", ["cpu", "emulated"])
@pytest.mark.parametrize("op", ["sin", "cos"])
def test_angles_of_many_turns_are_exact(op, target):
    x = np.linspace(-8000, 8000, 1001, dtype=np.float32)
    want = getattr(np, op)(x.astype(np.float64))
    np.testing.assert_allclose(_elementwise(f"{op} %a0 : X", [x], "f32", target), want, atol=1e-6, rtol=0)


@needs_runtime
@pytest.mark.parametrize("target", ["cpu", "emulated"])
@pytest.mark.parametrize("narrow, places", [("bf16", 8), ("f16", 11)])
def test_doubles_are_rounded_once(narrow, places, target):
    # A little above the middle of two numbers: by way of f32 it would become the middle, which goes
    # to the even one below.
    middle = 1 + 2.0**-places
    x = np.array([middle + 2.0**-40, middle, middle - 2.0**-40, -middle - 2.0**-40, 1e300, np.nan])
    got = _elementwise("convert %a0 : X -> R", [x], narrow, target).astype(np.float64)
    above = 1 + 2.0 ** (1 - places)
    np.testing.assert_array_equal(got, [above, 1, 1, -above, np.inf, np.nan])
