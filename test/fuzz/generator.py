# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Random programs of the tessera dialect: every op, random meshes, layouts and element types."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from control import ControlSteps
from indexing import IndexingSteps
from neural import NeuralSteps
from random_program import INTEGERS, UNSIGNED, Op, Program, Trust, Value

sys.path.insert(0, str(Path(__file__).parents[1] / "python"))
from elementwise_table import TABLE  # noqa: E402

MESHES = [
    [[1], [2], [3], [4], [6], [8], [12]],
    [[2, 2], [2, 3], [4, 2], [3, 2], [2, 4], [1, 4], [2, 6], [4, 3], [2, 1, 2], [1, 2, 3], [2, 3, 1],
     [4, 1, 2]],
    [[2, 2, 2], [3, 2, 2], [4, 2, 2], [2, 2, 4]],
]  # fmt: skip
LINKS = ["nvlink", "pcie", "ib"]


@dataclass(frozen=True)
class Sizes:
    """Sizes of dimensions that programs choose from, and where they stop using a tensor."""

    sizes: tuple[int, ...]
    elements: int


# Less than an axis, even and uneven on it; several blocks of a kernel, the last one not full.
SMALL = Sizes((1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 13), 600)
LARGE = Sizes((1, 3, 8, 17, 33, 70), 10000)
NARROW = ("f32", "bf16", "f16")
FLOATS = (*NARROW, "f64")
UNARY = [op for op, row in TABLE.items() if row.arity == 1]
ARITHMETIC = ("add", "sub", "mul", "max", "min", "div")


def sub_axes(rng: random.Random, name: str, size: int) -> list[str]:
    """The axis, or now and then sub-axes of it, major to minor: every digit once."""
    parts, pre, left = [], 1, size
    while left > 1:
        divisors = [k for k in range(2, left + 1) if left % k == 0]
        k = left if rng.random() < 0.25 else rng.choice(divisors)
        parts.append(name if k == size else f"{name}:({pre}){k}")
        pre, left = pre * k, left // k
    return parts or [name]


class Generator(ControlSteps, IndexingSteps, NeuralSteps):
    """Builds one program op by op.

    `wide` is the float type of sums and products, `favoured` a unary op that is used often. A `closed`
    program is one of stage `layouts`: each value has a closed layout, whatever its neighbours have.
    """

    def __init__(self, rng: random.Random, mesh: list[int], name: str, wide: str, closed: bool,
                 sizes: Sizes, favoured: str) -> None:  # fmt: skip
        self.rng, self.wide, self.closed = rng, wide, closed
        self.sizes, self.elements = sizes.sizes, sizes.elements
        self.favoured = favoured
        self.mesh = list(zip("xyz", mesh))
        self.program = Program(name)
        self.ops = self.program.ops  # Where the next op goes.
        self.values: list[Value] = []
        self.count = 0

    # -- values --------------------------------------------------------------------------------

    def layout(self, rank: int, partial: bool = False) -> str:
        """A random layout, as text: `[{x, ?}, {}]`. `partial` along some axes that split nothing."""
        dims: list[list[str]] = [[] for _ in range(rank)]
        axes = [part for name, size in self.mesh for part in sub_axes(self.rng, name, size)]
        if self.rng.random() < 0.5:
            self.rng.shuffle(axes)
        idle = []
        for axis in axes:
            (self.rng.choice(dims) if dims and self.rng.random() < 0.6 else idle).append(axis)
        texts = []
        for dim in dims:
            priority = f"p{self.rng.randint(0, 2)}" if self.rng.random() < 0.1 and not self.closed else ""
            if self.rng.random() < 0.6 and not self.closed:
                dim.append("?")
            texts.append("{" + ", ".join(dim) + "}" + priority)
        terms = [axis for axis in idle if partial and self.rng.random() < 0.6]
        kind = self.rng.choice(["sum", "sum", "max", "min", "prod"])
        return f"[{', '.join(texts)}]" + (f", partial = {kind}{{{', '.join(terms)}}}" if terms else "")

    def argument(self, shape: tuple[int, ...], element: str) -> Value:
        if element == UNSIGNED:
            # What has no NumPy type cannot be passed in.
            x = self.argument(shape, "i32")
            return self.emit("convert <0> : <t0>", shape, UNSIGNED, x)
        value = Value(f"%a{len(self.program.arguments)}", shape, element, Trust.EXACT)
        partial = element != "i1" and self.rng.random() < 0.1
        if partial or self.closed or (shape and self.rng.random() < 0.5):
            self.program.layouts[value.name] = self.layout(len(shape), partial)
        self.program.arguments.append(value)
        self.values.append(value)
        return value

    def emit(self, text: str, shape: tuple[int, ...], element: str, *operands: Value,
             trust: Trust = Trust.EXACT) -> Value:  # fmt: skip
        """Adds `text`, where <i> is operand i and <ti> its type; the result's type follows it."""
        trust = min([trust, *(v.trust for v in operands)])
        value = self.value(shape, element, trust)
        self.ops.append(Op((value,), text, operands))
        self.values.append(value)
        return value

    def value(self, shape: tuple[int, ...], element: str, trust: Trust) -> Value:
        """A new value, which an op or a block is to define."""
        self.count += 1
        value = Value(f"%v{self.count}", shape, element, trust)
        if self.closed:
            self.program.layouts[value.name] = self.layout(len(shape))
        return value

    def shape(self, rank: int) -> tuple[int, ...]:
        return tuple(self.rng.choice(self.sizes) for _ in range(rank))

    def is_float(self, value: Value) -> bool:
        return value.element[0] in "fb"

    def pick(self, minimum: int = 0, maximum: int = 4, of: Callable[[Value], bool] = lambda v: True) -> Value:
        """A value of rank `minimum` to `maximum` for which `of` holds, late ones more often."""
        fitting = [v for v in self.values if minimum <= len(v.shape) <= maximum and of(v)]
        if not fitting:
            shape = self.shape(self.rng.randint(max(minimum, 1), max(1, min(maximum, 3))))
            elements = [self.wide, *INTEGERS, UNSIGNED, "i1", *NARROW]
            fitting = [v for e in elements if of(v := Value("", shape, e, Trust.EXACT))][:1]
            return self.argument(shape, fitting[0].element)
        value = self.rng.choice(fitting[-5:] if self.rng.random() < 0.7 else fitting)
        if self.rng.random() < 0.08 and value.element in (self.wide, *INTEGERS) and of(value):
            term = self.term(value.shape, value.element, "sum")
            return term if of(term) else value
        return value

    def pick_wide(self, minimum: int = 0, maximum: int = 4) -> Value:
        return self.pick(minimum, maximum, lambda v: v.element == self.wide)

    def like(self, shape: tuple[int, ...], element: str, trust: Trust = Trust.SUMMED) -> Value:
        """A value of `shape`, new if need be."""
        fitting = [v for v in self.values if (v.shape, v.element) == (shape, element) and v.trust >= trust]
        if fitting and self.rng.random() < 0.7:
            return self.rng.choice(fitting)
        return self.argument(shape, element)

    def term(self, shape: tuple[int, ...], element: str, kind: str) -> Value:
        """A value that is partial until something needs it whole: reduced along a split dimension."""
        x = self.argument((self.rng.choice(self.sizes[1:]), *shape), element)
        axis = max(self.mesh, key=lambda entry: entry[1])[0]
        rest = ["{}" if self.closed else "{?}"] * len(shape)
        self.program.layouts[x.name] = f"[{', '.join(['{' + axis + '}', *rest])}]"
        exact = kind in ("max", "min") or not self.is_float(x)
        return self.emit(f"reduce {kind} <0> dims [0] : <t0>", shape, element, x,
                         trust=Trust.EXACT if exact else Trust.SUMMED)  # fmt: skip

    def splat(self, shape: tuple[int, ...], element: str, number: float) -> Value:
        text = repr(float(number)) if element[0] in "fb" else str(int(number))
        sizes = "".join(f"{n}x" for n in shape)
        return self.emit(f"constant dense<{text}> : tensor<{sizes}{element}> :", shape, element)

    def elementwise(self, op: str, *operands: Value, trust: Trust = Trust.LOCAL) -> Value:
        names = ", ".join(f"<{i}>" for i in range(len(operands)))
        types = ", ".join(f"<t{i}>" for i in range(len(operands)))
        first = operands[0]
        return self.emit(f"{op} {names} : ({types})", first.shape, first.element, *operands, trust=trust)

    # -- elementwise ops -----------------------------------------------------------------------

    def of_table(self, op: str) -> None:
        """An elementwise op on operands from its domain."""
        row = TABLE[op]
        floats = (self.wide, *NARROW) if row.exact else (self.wide,)
        elements = {e for e in row.types if e not in FLOATS or e in floats}
        if "i32" in elements:
            elements.add(UNSIGNED)
        least = Trust.EXACT if row.jumps else Trust.SUMMED
        operands = [self.pick(of=lambda v: v.element in elements and v.trust >= least)]
        if row.arity == 2:
            operands.append(self.like(operands[0].shape, operands[0].element, least))
        exact = row.exact or not self.is_float(operands[0])
        self.elementwise(op, *[self.within(domain, x) for domain, x in zip(row.domain, operands)],
                         trust=Trust.EXACT if exact else Trust.LOCAL)  # fmt: skip

    def within(self, domain: str, x: Value) -> Value:
        """A value made of `x` whose elements lie in a domain of the table."""
        if domain == "any":
            return x
        if domain == "three":
            return self.splat(x.shape, x.element, 3)
        if domain == "positive":
            return self.positive(x) if self.is_float(x) else self.splat(x.shape, x.element, 3)
        if domain == "above one":
            return self.elementwise("add", self.positive(x), self.splat(x.shape, x.element, 1))
        if not self.is_float(x):
            return self.splat(x.shape, x.element, 3) if domain == "bounded" else x
        bounded = self.elementwise("tanh", x)
        if domain == "positive and small":
            return self.positive(bounded)
        if domain == "unit":
            return self.elementwise("mul", bounded, self.splat(x.shape, x.element, 0.75))
        assert domain == "bounded", f"no values for domain {domain}"
        return bounded

    def unary(self) -> None:
        if self.rng.random() < 0.07:
            x = self.pick_wide()
            kind = self.rng.choice(["none", "tanh"])
            self.emit(f"gelu <0> approximation {kind} : <t0>", x.shape, x.element, x, trust=Trust.LOCAL)
            return
        if self.rng.random() < 0.5:
            self.of_table(self.rng.choice(UNARY))
            return
        self.of_table(self.favoured)
        if self.values[-1].shape and self.rng.random() < 0.4:
            self.constrain(self.values[-1])

    def pair(self) -> None:
        """The ops of two operands that are not plain arithmetic."""
        pairs = [op for op, row in TABLE.items() if row.arity == 2 and op not in ARITHMETIC]
        self.of_table(self.rng.choice(pairs))

    def positive(self, x: Value) -> Value:
        """Far enough from zero to divide by."""
        return self.elementwise("add", self.elementwise("abs", x, trust=Trust.EXACT),
                                self.splat(x.shape, x.element, 0.75))  # fmt: skip

    def binary(self) -> None:
        x = self.pick(of=lambda v: v.element != "i1")
        y = self.like(x.shape, x.element)
        if self.is_float(x) and x.element != self.wide:
            # No product: powers of ten leave the range of f16.
            op = self.rng.choice(["add", "sub", "max", "min"])
        else:
            op = self.rng.choice(["add", "add", "add", "sub", "mul", "max", "min", "div"])
        if op == "div":
            y = self.within("positive", y)
        exact = op in ("max", "min") or not self.is_float(x)
        self.elementwise(op, x, y, trust=Trust.EXACT if exact else Trust.LOCAL)

    def logic(self) -> None:
        x = self.pick(of=lambda v: not self.is_float(v))
        op = self.rng.choice(["and", "or", "xor", "not"])
        self.elementwise(op, *([x] if op == "not" else [x, self.like(x.shape, x.element)]), trust=Trust.EXACT)

    def scaled(self) -> None:
        x = self.pick_wide()
        if self.rng.random() < 0.5:
            c = self.splat(x.shape, self.wide, 0.5)
        else:
            s = self.splat((), self.wide, 0.5)
            c = self.emit("broadcast <0> dims [] : <t0>", x.shape, self.wide, s) if x.shape else s
        self.elementwise("mul", x, c)

    def convert(self) -> None:
        x = self.pick(of=lambda v: v.trust >= Trust.LOCAL)
        targets = [e for e in (self.wide, *INTEGERS, UNSIGNED, "i1", *NARROW) if e != x.element]
        if self.is_float(x) and x.trust != Trust.EXACT:
            targets = [e for e in targets if e[0] in "fb"]
        # A narrow result of inexact input may round to either side where arithmetic differs.
        self.emit("convert <0> : <t0>", x.shape, self.rng.choice(targets), x)

    def compare(self) -> Value:
        x = self.pick(of=lambda v: v.trust == Trust.EXACT)
        y = self.like(x.shape, x.element, Trust.EXACT)
        direction = self.rng.choice(["eq", "ne", "lt", "le", "gt", "ge"])
        return self.emit(f"compare {direction} <0>, <1> : <t0>, <t1>", x.shape, "i1", x, y)

    def select(self) -> None:
        c = self.compare() if self.rng.random() < 0.7 else self.pick(of=lambda v: v.element == "i1")
        element = self.rng.choice([self.wide, self.wide, *INTEGERS, UNSIGNED, "i1", *NARROW])
        x, y = self.like(c.shape, element), self.like(c.shape, element)
        self.emit("select <0>, <1>, <2> : <t0>, <t1>, <t2>", c.shape, element, c, x, y)

    # -- creation ------------------------------------------------------------------------------

    def constant(self) -> None:
        shape = self.shape(self.rng.randint(1, 2))
        element = self.rng.choice([self.wide, self.wide, "i32", "i1"])

        def body(dims: tuple[int, ...]) -> str:
            if dims:
                return "[" + ", ".join(body(dims[1:]) for _ in range(dims[0])) + "]"
            if element == "i1":
                return self.rng.choice(["true", "false"])
            return str(self.rng.randint(-4, 4)) if element == "i32" else f"{self.rng.uniform(-1, 1):.3f}"

        sizes = "".join(f"{n}x" for n in shape)
        self.emit(f"constant dense<{body(shape)}> : tensor<{sizes}{element}> :", shape, element)

    def iota(self) -> None:
        shape = self.shape(self.rng.randint(1, 3))
        element = self.rng.choice([self.wide, *INTEGERS, UNSIGNED])
        self.emit(f"iota dim {self.rng.randrange(len(shape))} :", shape, element)

    def random_numbers(self) -> None:
        shape = self.shape(self.rng.randint(1, 3))
        batch = shape[: self.rng.choice([0, 0, 0, 1, 2])]
        # Keys that differ, and may be split.
        key = self.emit("constant dense<[7, 9]> : tensor<2xi32> :", (2,), "i32")
        if batch:
            keys = (*batch, 2)
            key = self.emit(f"rng bits <0> {list(keys)} : <t0>", keys, "i32", key, trust=Trust.EXACT)
        kind, element, trust = self.rng.choice(
            [("uniform", "f32", Trust.EXACT), ("normal", self.wide, Trust.LOCAL),
             ("bits", "i32", Trust.EXACT)])
        self.emit(f"rng {kind} <0> {list(shape)} : <t0>", shape, element, key, trust=trust)

    # -- products and reductions ---------------------------------------------------------------

    def contract(self) -> None:
        x = self.pick(1, 3, lambda v: v.element in (self.wide, *INTEGERS, UNSIGNED))
        letters = "abcd"[: len(x.shape)]
        batch = [c for c in letters if self.rng.random() < 0.25]
        summed = [c for c in letters if c not in batch and self.rng.random() < 0.6]
        free = self.rng.sample("nm", self.rng.randint(0, 2))
        size = dict(zip(letters, x.shape)) | {c: self.rng.choice(self.sizes) for c in free}
        rhs = batch + summed + free
        if not rhs:
            return
        self.rng.shuffle(rhs)
        out = batch + [c for c in letters if c not in batch and c not in summed] + free
        y = self.like(tuple(size[c] for c in rhs), x.element)
        self.emit(f'contract <0>, <1> "{letters},{"".join(rhs)}->{"".join(out)}" : <t0>, <t1>',
                  tuple(size[c] for c in out), x.element, x, y,
                  trust=Trust.SUMMED if self.is_float(x) else Trust.EXACT)  # fmt: skip

    def reduce(self) -> None:
        x = self.pick(1, of=lambda v: v.element != "i1")
        dims = sorted(self.rng.sample(range(len(x.shape)), self.rng.randint(1, len(x.shape))))
        if x.element == self.wide or not self.is_float(x):
            kind = self.rng.choice(["sum", "sum", "max", "min", "prod"])
        else:
            kind = self.rng.choice(["max", "min"])
        exact = kind in ("max", "min") or not self.is_float(x)
        out = tuple(n for d, n in enumerate(x.shape) if d not in dims)
        self.emit(f"reduce {kind} <0> dims {dims} : <t0>", out, x.element, x,
                  trust=Trust.EXACT if exact else Trust.SUMMED)  # fmt: skip

    def cumulative(self) -> None:
        x = self.pick(1, of=lambda v: v.element != "i1")
        if x.element == self.wide or not self.is_float(x):
            kind = self.rng.choice(["sum", "sum", "max", "min", "prod"])
        else:
            kind = self.rng.choice(["max", "min"])
        exact = kind in ("max", "min") or not self.is_float(x)
        flags = self.rng.choice(["", "", " exclusive"]) + self.rng.choice(["", " reverse"])
        if kind in ("max", "min"):
            flags = flags.replace(" exclusive", "")  # Infinities would spread.
        self.emit(f"cumulative {kind} <0> dim {self.rng.randrange(len(x.shape))}{flags} : <t0>", x.shape,
                  x.element, x, trust=Trust.EXACT if exact else Trust.SUMMED)  # fmt: skip

    def joint(self) -> None:
        """An op that is linear in several operands, all of which are partial."""
        kind = self.rng.choice(["sum", "sum", "max", "min"])
        shape = self.shape(self.rng.randint(0, 2))
        x, y = (self.term(shape, self.wide, kind) for _ in range(2))
        if kind != "sum":
            self.elementwise(kind, x, y, trust=Trust.EXACT)
        elif shape and self.rng.random() < 0.3:
            out = (2 * shape[0], *shape[1:])
            self.emit("concatenate <0>, <1> dim 0 : (<t0>, <t1>)", out, self.wide, x, y)
        elif self.rng.random() < 0.3:
            c = self.argument(shape, "i1")
            self.emit("select <0>, <1>, <2> : <t0>, <t1>, <t2>", shape, self.wide, c, x, y)
        else:
            self.elementwise(self.rng.choice(["add", "sub"]), x, y)

    # -- moving elements -----------------------------------------------------------------------

    def reshape(self) -> None:
        x = self.pick(1)
        out = list(x.shape)
        for _ in range(self.rng.randint(1, 3)):
            d = self.rng.randrange(len(out))
            divisors = [n for n in range(2, out[d]) if out[d] % n == 0]
            if divisors and len(out) < 4 and self.rng.random() < 0.5:
                n = self.rng.choice(divisors)
                out[d : d + 1] = [out[d] // n, n]
            elif d + 1 < len(out):
                out[d : d + 2] = [out[d] * out[d + 1]]
            elif len(out) < 4:
                out.insert(d, 1)
        self.emit("reshape <0> : <t0>", tuple(out), x.element, x)

    def transpose(self) -> None:
        x = self.pick(2)
        order = list(range(len(x.shape)))
        self.rng.shuffle(order)
        self.emit(f"transpose <0> {order} : <t0>", tuple(x.shape[d] for d in order), x.element, x)

    def broadcast(self) -> None:
        x = self.pick(0, 2)
        out, dims = list(x.shape), list(range(len(x.shape)))
        for _ in range(self.rng.randint(1, 2)):
            at = self.rng.randint(0, len(out))
            out.insert(at, self.rng.choice(self.sizes[:5]))
            dims = [d + (d >= at) for d in dims]
        self.emit(f"broadcast <0> dims {dims} : <t0>", tuple(out), x.element, x)

    def slice(self) -> None:
        x = self.pick(1)
        starts, limits, strides = [0] * len(x.shape), list(x.shape), [1] * len(x.shape)
        d = self.rng.randrange(len(x.shape))
        starts[d] = self.rng.randrange(x.shape[d])
        limits[d] = self.rng.randint(starts[d] + 1, x.shape[d])
        strides[d] = self.rng.choice([1, 1, 2, 3])
        out = tuple(-(-(b - a) // s) for a, b, s in zip(starts, limits, strides))
        self.emit(f"slice <0> {starts} to {limits} by {strides} : <t0>", out, x.element, x)

    def pad(self) -> None:
        x = self.pick(1)
        low, high = [0] * len(x.shape), [0] * len(x.shape)
        d = self.rng.randrange(len(x.shape))
        low[d], high[d] = self.rng.randint(0, 2), self.rng.randint(0, 2)
        out = tuple(a + n + b for a, n, b in zip(low, x.shape, high))
        if x.element == "i1":
            number = self.rng.choice(["true", "false"])
        elif self.is_float(x):
            number = f"{self.rng.choice(['0.0', '1.5'])} : {x.element}"
        else:
            number = f"{self.rng.randint(0 if x.element == UNSIGNED else -2, 2)} : {x.element}"
        self.emit(f"pad <0> low {low} high {high} value {number} : <t0>", out, x.element, x)

    def concatenate(self) -> None:
        x = self.pick(1)
        d = self.rng.randrange(len(x.shape))
        operands = [x]
        for _ in range(self.rng.randint(1, 2)):
            shape = list(x.shape)
            if self.rng.random() < 0.5:
                shape[d] = self.rng.choice(self.sizes[:5])
            operands.append(self.like(tuple(shape), x.element))
        out = list(x.shape)
        out[d] = sum(v.shape[d] for v in operands)
        names = ", ".join(f"<{i}>" for i in range(len(operands)))
        types = ", ".join(f"<t{i}>" for i in range(len(operands)))
        self.emit(f"concatenate {names} dim {d} : ({types})", tuple(out), x.element, *operands)

    def constrain(self, x: Value | None = None) -> None:
        x = x or self.pick(1)
        if self.closed or self.rng.random() < 0.4:
            value = self.emit("reshard <0> : <t0>", x.shape, x.element, x)
            self.program.layouts[value.name] = self.layout(len(x.shape))
        else:
            self.emit(f"constrain <0> to <@mesh, {self.layout(len(x.shape))}> : <t0>", x.shape, x.element, x)

    def choose_results(self) -> None:
        """Up to four values that no op uses, now and then in a layout of their own or one of them twice."""
        used = {name for op in self.program.ops for name in op.uses()}
        unused = [v for op in self.program.ops for v in op.results if v.name not in used]
        for value in (unused or self.program.arguments)[-4:]:
            if value.element == UNSIGNED:
                value = self.emit("convert <0> : <t0>", value.shape, "i64", value)
            if value.shape and value.name not in self.program.layouts and self.rng.random() < 0.25:
                self.program.layouts[value.name] = self.layout(len(value.shape))
            self.program.results.append(value)
        if self.rng.random() < 0.1:
            self.program.results.append(self.program.results[0])

    def choose_ties(self) -> None:
        """Donates some of the arguments of which a result has the type."""
        free = {r.name: r for r in self.program.results}
        for argument in self.program.arguments:
            fitting = [r for r in free.values()
                       if (r.shape, r.element) == (argument.shape, argument.element)]
            if fitting and self.rng.random() < 0.6:
                self.program.ties[argument.name] = free.pop(self.rng.choice(fitting).name).name

    def choose_steps(self, count: int) -> list[Callable[[], object]]:
        """Random steps, each adding an op or a few."""
        steps = [
            (self.unary, 6), (self.binary, 6), (self.pair, 3), (self.logic, 1),
            (self.scaled, 2), (self.convert, 1),
            (self.constant, 1), (self.iota, 1), (self.random_numbers, 1),
            (self.contract, 7), (self.reduce, 3), (self.cumulative, 1),
            (self.joint, 1),
            (self.reshape, 3), (self.transpose, 2), (self.broadcast, 2), (self.slice, 1), (self.pad, 1),
            (self.concatenate, 1), (self.softmax, 2), (self.layer_norm, 1), (self.rms_norm, 1),
            (self.logsumexp, 1), (self.cross_entropy, 1), (self.norm_tangent, 1),
            (self.attention, 1), (self.gather, 2), (self.scatter, 2), (self.argsort, 1),
            (self.dynamic_slice, 1), (self.dynamic_update_slice, 1), (self.select, 1), (self.constrain, 3),
            (self.scan, 3), (self.while_loop, 2), (self.cond, 2), (self.barrier, 1), (self.debug, 1),
        ]  # fmt: skip
        return self.rng.choices([s for s, _ in steps], [w for _, w in steps], k=count)

    def build(self) -> Program:
        """A program of 2 to 10 random steps."""
        if self.rng.random() < 0.15:
            # Nothing uses it.
            self.argument(self.shape(self.rng.randint(0, 3)), self.rng.choice([self.wide, "i32", "i1"]))
            self.values.clear()
        self.argument(self.shape(self.rng.randint(1, 3)), self.wide)
        for step in self.choose_steps(self.rng.randint(2, 10)):
            self.values = [v for v in self.values if v.size <= self.elements] or self.values
            step()
        self.choose_results()
        self.choose_ties()
        return self.program


def balanced(seed: int) -> tuple[str, list[list[int]]]:
    """The unary op that the programs of a seed have often, and the meshes that they may be on: all ops in
    turn, in random order, and each of them on one, two and three axes in turn, so that few seeds reach
    every op on every kind of mesh and layout."""
    turn, place = divmod(seed, len(UNARY))
    op = random.Random(turn).sample(UNARY, len(UNARY))[place]
    return op, MESHES[(UNARY.index(op) + turn) % len(MESHES)]


def generate(seed: int, count: int, wide: str, closed: bool = False,
             sizes: Sizes = SMALL) -> tuple[str, list[Program]]:  # fmt: skip
    """The mesh declaration and `count` programs, f0, f1 and so on, of a seed."""
    favoured, meshes = balanced(seed)
    rng = random.Random(seed)
    mesh = rng.choice(meshes)
    links = [f" : {rng.choice(LINKS)}" if rng.random() < 0.3 else "" for _ in mesh]
    axes = ", ".join(f"{name} = {size}{link}" for name, size, link in zip("xyz", mesh, links))
    programs = [Generator(rng, mesh, f"f{i}", wide, closed, sizes, favoured).build()
                for i in range(count)]
    return f"dist.mesh @mesh <[{axes}]>\n", programs
