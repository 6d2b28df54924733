#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Partitions random programs and compares them with the programs themselves.

Each program is a random graph of ops on a random mesh with random annotations; uneven sizes,
sub-axes and dimensions smaller than their axes included. `tessera-check-equivalence` evaluates it on
whole tensors and, after the sharding passes, on all devices. A program that differs or fails is
written to --out as .mlir with the command that shows it.

The same seeds give the same programs. Default: 400 seeds, 16 programs each. Longer: --seeds 10000 or
TESSERA_FUZZ_SEEDS=10000.
"""

from __future__ import annotations

import argparse
import math
import os
import random
import subprocess
import sys
import time
from pathlib import Path

PIPELINE = (
    "tessera-propagate-layouts,tessera-insert-reshards,canonicalize,cse,"
    "tessera-partition,canonicalize,cse,dist-simplify-collectives"
)
MESHES = [
    [("x", 2)],
    [("x", 3)],
    [("x", 4)],
    [("x", 2), ("y", 2)],
    [("x", 2), ("y", 3)],
    [("x", 4), ("y", 2)],
]
SIZES = [1, 2, 3, 4, 5, 6, 7, 8, 9]
# Doubles: sums in another order differ by far less than the tolerance even where terms cancel, so a
# difference is a defect.
FLOAT = "f64"
TOLERANCE = 1e-9


class Program:
    """One function, built op by op; values are (name, shape) of FLOAT tensors."""

    def __init__(self, rng: random.Random, mesh: list[tuple[str, int]], name: str) -> None:
        self.rng, self.mesh, self.name = rng, mesh, name
        self.arguments: list[str] = []
        self.lines: list[str] = []
        self.values: list[tuple[str, tuple[int, ...]]] = []
        self.exact: list[tuple[str, tuple[int, ...]]] = []
        self.types: dict[str, str] = {}
        self.count = 0

    # -- types ---------------------------------------------------------------------------------

    def layout(self, rank: int) -> str:
        """A random layout, as text: `[{x, ?}, {}]`."""
        dims: list[list[str]] = [[] for _ in range(rank)]
        axes = []
        for axis, size in self.mesh:
            if size == 4 and self.rng.random() < 0.4:
                axes += [f"{axis}:(1)2", f"{axis}:(2)2"]
            else:
                axes.append(axis)
        self.rng.shuffle(axes)
        for axis in axes:
            if rank and self.rng.random() < 0.5:
                dims[self.rng.randrange(rank)].append(axis)
        texts = []
        for dim in dims:
            text = ", ".join(dim + (["?"] if self.rng.random() < 0.6 else []))
            texts.append("{" + text + "}")
        return "[" + ", ".join(texts) + "]"

    def type_of(self, shape: tuple[int, ...], element: str = FLOAT, layout: str = "") -> str:
        sizes = "".join(f"{n}x" for n in shape)
        return f"!tessera.mesh_tensor<{sizes}{element}, @mesh{', ' + layout if layout else ''}>"

    def argument(self, shape: tuple[int, ...], element: str = FLOAT) -> str:
        name = f"%a{len(self.arguments)}"
        layout = self.layout(len(shape)) if shape and self.rng.random() < 0.5 else ""
        self.types[name] = self.type_of(shape, element, layout)
        self.arguments.append(name)
        if element == FLOAT:
            self.values.append((name, shape))
            self.exact.append((name, shape))
        return name

    def emit(self, text: str, shape: tuple[int, ...], element: str = FLOAT) -> str:
        """Adds `text`, in which `$T` is the result's type."""
        name = f"%v{self.count}"
        self.count += 1
        self.types[name] = self.type_of(shape, element)
        self.lines.append(f"  {name} = tessera." + text.replace("$T", self.types[name]))
        if element == FLOAT:
            self.values.append((name, shape))
        return name

    # -- operands ------------------------------------------------------------------------------

    def shape(self, rank: int) -> tuple[int, ...]:
        return tuple(self.rng.choice(SIZES) for _ in range(rank))

    def pick(self, minimum: int = 0, maximum: int = 4) -> tuple[str, tuple[int, ...]]:
        """A value of rank `minimum` to `maximum`, late ones more often."""
        fitting = [v for v in self.values if minimum <= len(v[1]) <= maximum]
        if not fitting:
            shape = self.shape(self.rng.randint(max(minimum, 1), max(maximum, 1)))
            return self.argument(shape), shape
        return self.rng.choice(fitting[-5:] if self.rng.random() < 0.7 else fitting)

    def like(self, shape: tuple[int, ...]) -> str:
        """A value of `shape`, new if need be."""
        fitting = [name for name, other in self.values if other == shape]
        return self.rng.choice(fitting) if fitting and self.rng.random() < 0.7 else self.argument(shape)

    # -- ops -----------------------------------------------------------------------------------

    def unary(self) -> None:
        x, shape = self.pick()
        op = self.rng.choice(["neg", "abs", "tanh", "logistic", "sin"])
        if self.rng.random() < 0.2:
            self.emit(f"gelu {x} approximation none : {self.types[x]} -> $T", shape)
        else:
            self.emit(f"{op} {x} : ({self.types[x]}) -> $T", shape)

    def binary(self) -> None:
        x, shape = self.pick()
        y = self.like(shape)
        op = self.rng.choice(["add", "add", "add", "sub", "mul", "max", "min"])
        self.emit(f"{op} {x}, {y} : ({self.types[x]}, {self.types[y]}) -> $T", shape)

    def scaled(self) -> None:
        x, shape = self.pick()
        if self.rng.random() < 0.5:
            c = self.emit(f"constant dense<0.5> : tensor<{'x'.join(map(str, shape + (FLOAT,)))}> : $T", shape)
        else:
            s = self.emit(f"constant dense<0.5> : tensor<{FLOAT}> : $T", ())
            c = self.emit(f"broadcast {s} dims [] : {self.types[s]} -> $T", shape)
        self.emit(f"mul {x}, {c} : ({self.types[x]}, {self.types[c]}) -> $T", shape)

    def constant(self) -> None:
        shape = self.shape(self.rng.randint(1, 2))

        def body(dims: tuple[int, ...]) -> str:
            if not dims:
                return f"{self.rng.uniform(-1, 1):.3f}"
            return "[" + ", ".join(body(dims[1:]) for _ in range(dims[0])) + "]"

        local = "x".join(map(str, shape + (FLOAT,)))
        self.emit(f"constant dense<{body(shape)}> : tensor<{local}> : $T", shape)

    def iota(self) -> None:
        shape = self.shape(self.rng.randint(1, 3))
        self.emit(f"iota dim {self.rng.randrange(len(shape))} : $T", shape)

    def random_numbers(self) -> None:
        shape = self.shape(self.rng.randint(1, 3))
        key = self.emit("constant dense<[7, 9]> : tensor<2xi32> : $T", (2,), "i32")
        kind = self.rng.choice(["uniform", "normal"])
        sizes = ", ".join(map(str, shape))
        self.emit(f"rng {kind} {key} [{sizes}] : {self.types[key]} -> $T", shape)

    def contract(self) -> None:
        x, shape = self.pick(1, 3)
        letters = "abcd"[: len(shape)]
        batch = [c for c in letters if self.rng.random() < 0.25]
        summed = [c for c in letters if c not in batch and self.rng.random() < 0.6]
        free = self.rng.sample("nm", self.rng.randint(0, 1))
        size = dict(zip(letters, shape)) | {c: self.rng.choice(SIZES) for c in free}
        rhs = batch + summed + free
        if not rhs:
            return
        self.rng.shuffle(rhs)
        out = batch + [c for c in letters if c not in batch and c not in summed] + free
        y = self.like(tuple(size[c] for c in rhs))
        spec = f"{letters},{''.join(rhs)}->{''.join(out)}"
        self.emit(
            f'contract {x}, {y} "{spec}" : {self.types[x]}, {self.types[y]} -> $T',
            tuple(size[c] for c in out),
        )

    def reduce(self) -> None:
        x, shape = self.pick(1)
        dims = sorted(self.rng.sample(range(len(shape)), self.rng.randint(1, len(shape))))
        kind = self.rng.choice(["sum", "sum", "max", "min"])
        out = tuple(n for d, n in enumerate(shape) if d not in dims)
        self.emit(f"reduce {kind} {x} dims {dims} : {self.types[x]} -> $T", out)

    def reshape(self) -> None:
        x, shape = self.pick(1)
        out = list(shape)
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
        self.emit(f"reshape {x} : {self.types[x]} -> $T", tuple(out))

    def transpose(self) -> None:
        x, shape = self.pick(2)
        order = list(range(len(shape)))
        self.rng.shuffle(order)
        self.emit(f"transpose {x} {order} : {self.types[x]} -> $T", tuple(shape[d] for d in order))

    def broadcast(self) -> None:
        x, shape = self.pick(0, 2)
        out, dims = list(shape), list(range(len(shape)))
        for _ in range(self.rng.randint(1, 2)):
            at = self.rng.randint(0, len(out))
            out.insert(at, self.rng.choice(SIZES[:5]))
            dims = [d + (d >= at) for d in dims]
        self.emit(f"broadcast {x} dims {dims} : {self.types[x]} -> $T", tuple(out))

    def slice(self) -> None:
        x, shape = self.pick(1)
        starts, limits, strides = [0] * len(shape), list(shape), [1] * len(shape)
        d = self.rng.randrange(len(shape))
        starts[d] = self.rng.randrange(shape[d])
        limits[d] = self.rng.randint(starts[d] + 1, shape[d])
        strides[d] = self.rng.choice([1, 1, 2])
        out = tuple(-(-(b - a) // s) for a, b, s in zip(starts, limits, strides))
        self.emit(f"slice {x} {starts} to {limits} by {strides} : {self.types[x]} -> $T", out)

    def pad(self) -> None:
        x, shape = self.pick(1)
        low, high = [0] * len(shape), [0] * len(shape)
        d = self.rng.randrange(len(shape))
        low[d], high[d] = self.rng.randint(0, 2), self.rng.randint(0, 2)
        out = tuple(a + n + b for a, n, b in zip(low, shape, high))
        number = self.rng.choice(["0.0", "1.5"])
        self.emit(f"pad {x} low {low} high {high} value {number} : {FLOAT} : {self.types[x]} -> $T", out)

    def concatenate(self) -> None:
        x, shape = self.pick(1)
        y = self.like(shape)
        d = self.rng.randrange(len(shape))
        out = tuple(n * (2 if i == d else 1) for i, n in enumerate(shape))
        self.emit(f"concatenate {x}, {y} dim {d} : ({self.types[x]}, {self.types[y]}) -> $T", out)

    def softmax(self) -> None:
        x, shape = self.pick(1)
        self.emit(f"softmax {x} dim {self.rng.randrange(len(shape))} : {self.types[x]} -> $T", shape)

    def norm(self) -> None:
        x, shape = self.pick(1)
        scale, bias = self.like(shape[-1:]), self.like(shape[-1:])
        types = f"{self.types[x]}, {self.types[scale]}"
        if self.rng.random() < 0.5:
            self.emit(f"rms_norm {x}, {scale} epsilon 1.0e-1 : {types} -> $T", shape)
        else:
            self.emit(
                f"layer_norm {x}, {scale}, {bias} epsilon 1.0e-1 : {types}, {self.types[bias]} -> $T",
                shape,
            )

    def attention(self) -> None:
        b, s, t, k, g, d = (self.rng.choice(SIZES[:5]) for _ in range(6))
        q, key = self.like((b, s, k * g, d)), self.like((b, t, k, d))
        value = self.like((b, t, k, d))
        types = f"{self.types[q]}, {self.types[key]}, {self.types[value]}"
        self.emit(f"attention {q}, {key}, {value} scale 0.5 : {types} -> $T", (b, s, k * g, d))

    def gather(self) -> None:
        x, shape = self.pick(1, 2)
        indices_shape = self.shape(self.rng.randint(1, 2))
        indices = self.argument(indices_shape, "i32")
        d = self.rng.randrange(len(shape))
        out = shape[:d] + indices_shape + shape[d + 1 :]
        self.emit(f"gather {x} [{indices}] dim {d} : {self.types[x]}, {self.types[indices]} -> $T", out)

    def select(self) -> None:
        # Comparisons read arguments only, so that rounding never flips one.
        a, shape = self.rng.choice(self.exact)
        b = self.argument(shape)
        c = self.emit(f"compare lt {a}, {b} : {self.types[a]}, {self.types[b]} -> $T", shape, "i1")
        x, y = self.like(shape), self.like(shape)
        types = f"{self.types[c]}, {self.types[x]}, {self.types[y]}"
        self.emit(f"select {c}, {x}, {y} : {types} -> $T", shape)

    def constrain(self) -> None:
        x, shape = self.pick(1)
        layout = self.layout(len(shape))
        self.emit(f"constrain {x} to <@mesh, {layout}> : {self.types[x]} -> $T", shape)

    def build(self) -> str:
        ops = [
            (self.unary, 3), (self.binary, 6), (self.scaled, 2), (self.constant, 1), (self.iota, 1),
            (self.random_numbers, 1), (self.contract, 7), (self.reduce, 3), (self.reshape, 3),
            (self.transpose, 2), (self.broadcast, 2), (self.slice, 1), (self.pad, 1),
            (self.concatenate, 1), (self.softmax, 2), (self.norm, 2), (self.attention, 1),
            (self.gather, 2), (self.select, 1), (self.constrain, 2),
        ]  # fmt: skip
        self.argument(self.shape(self.rng.randint(1, 3)))
        steps, weights = zip(*ops)
        for step in self.rng.choices(steps, weights, k=self.rng.randint(2, 10)):
            self.values = [v for v in self.values if math.prod(v[1]) <= 600] or self.values
            step()
        results = [name for name, _ in self.values[-self.rng.randint(1, 3) :]]
        arguments = ", ".join(f"{a}: {self.types[a]}" for a in self.arguments)
        types = [self.types[r] for r in results]
        return "\n".join(
            [f"func.func @{self.name}({arguments}) -> ({', '.join(types)}) {{"]
            + self.lines
            + [f"  return {', '.join(results)} : {', '.join(types)}", "}"]
        )


def run(opt: str, text: str, seed: int) -> str:
    """What tessera-opt complains of, or nothing."""
    option = f"--tessera-check-equivalence=pipeline={PIPELINE} seed={seed} rtol={TOLERANCE}"
    process = subprocess.run([opt, "-", option, "-o", os.devnull], input=text, text=True,
                             capture_output=True, timeout=60)  # fmt: skip
    return "" if process.returncode == 0 else process.stderr or f"exit {process.returncode}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tessera-opt", required=True)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seeds", type=int, default=int(os.environ.get("TESSERA_FUZZ_SEEDS", 400)))
    parser.add_argument("--out", type=Path, default=Path("fuzz-failures"))
    parser.add_argument("--max-failures", type=int, default=5)
    options = parser.parse_args()

    functions, failures, begin = 0, 0, time.monotonic()
    for seed in range(options.seed, options.seed + options.seeds):
        if failures >= options.max_failures:
            break
        rng = random.Random(seed)
        mesh = rng.choice(MESHES)
        axes = ", ".join(f"{name} = {size}" for name, size in mesh)
        head = f"dist.mesh @mesh <[{axes}]>\n"
        programs = [Program(rng, mesh, f"f{i}").build() for i in range(16)]
        functions += len(programs)
        if run(options.tessera_opt, head + "\n".join(programs), seed):
            for i, program in enumerate(programs):
                error = run(options.tessera_opt, head + program, seed)
                if not error:
                    continue
                failures += 1
                options.out.mkdir(parents=True, exist_ok=True)
                path = options.out / f"seed{seed}-{i}.mlir"
                comment = "".join(f"// {line}\n" for line in error.splitlines()[:20])
                path.write_text(
                    f"// tessera-opt {path.name} '--tessera-check-equivalence=pipeline={PIPELINE} "
                    f"seed={seed} rtol={TOLERANCE}'\n{comment}{head}{program}\n"
                )
                first = next((l for l in error.splitlines() if "error" in l or "Assert" in l), error)
                print(f"{path}: {first[:300]}")
    print(f"{functions} programs from seed {options.seed}, {failures} failures, "
          f"{time.monotonic() - begin:.0f} seconds")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
