# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Steps of the generator that read, write and sort at computed indices."""

from __future__ import annotations

from random_program import INTEGERS, UNSIGNED, Trust, Value


class IndexingSteps:
    """A part of Generator."""

    def indexing(self, x: Value) -> tuple[list[Value], str, tuple[int, ...]]:
        """Indices of one or two dimensions of x, what an op says of them, and the shape of the slices."""
        rank = len(x.shape)
        dims = sorted(self.rng.sample(range(rank), self.rng.choice([1, 1, min(2, rank)])))
        batch = [d for d in range(rank) if d not in dims and self.rng.random() < 0.3]
        new = [self.rng.choice(self.sizes[:5]) for _ in range(self.rng.randint(0 if batch else 1, 2))]
        parts = [("batch", d) for d in batch] + [("new", k) for k in range(len(new))]
        order = [p for p in parts if p[0] == "new"]
        for part in parts[: len(batch)]:
            order.insert(self.rng.randint(0, len(order)), part)
        shape = tuple(x.shape[k] if kind == "batch" else new[k] for kind, k in order)
        indices: list[Value] = []
        for _ in dims:
            # Indices that are no argument of this op's own may lie outside, which reads zeros.
            element = self.rng.choice(INTEGERS)
            indices.append(self.argument(shape, element) if self.rng.random() < 0.7 else
                           self.like(shape, element))  # fmt: skip
        text = f"dims {dims}"
        if batch:
            text += f" batch {batch} = {[order.index(('batch', d)) for d in batch]}"
        out: list[int] = []
        for d, size in enumerate(x.shape):
            if d == dims[0]:
                out += new
            if d not in dims:
                out.append(size)
        return indices, text, tuple(out)

    def gather(self) -> None:
        x = self.pick(1, 3)
        indices, text, out = self.indexing(x)
        names = ", ".join(f"<{i + 1}>" for i in range(len(indices)))
        types = ", ".join(f"<t{i}>" for i in range(len(indices) + 1))
        self.emit(f"gather <0> [{names}] {text} : ({types})", out, x.element, x, *indices)

    def scatter(self) -> None:
        x = self.pick(1, 3)
        kinds = ["set", "max", "min"]
        if x.element in (self.wide, *INTEGERS, UNSIGNED):
            kinds += ["add", "add", "add"]
        kind = self.rng.choice(kinds)
        indices, text, shape = self.indexing(x)
        count = len(indices)
        names = ", ".join(f"<{i + 1}>" for i in range(count))
        types = ", ".join(f"<t{i}>" for i in range(count + 2))
        exact = kind != "add" or not self.is_float(x)
        self.emit(f"scatter {kind} <0> [{names}] = <{count + 1}> {text} : ({types})", x.shape, x.element, x,
                  *indices, self.like(shape, x.element),
                  trust=Trust.EXACT if exact else Trust.SUMMED)  # fmt: skip

    def argsort(self) -> None:
        x = self.pick(1, 3, lambda v: v.trust == Trust.EXACT)
        way = " descending" if self.rng.random() < 0.4 else ""
        self.emit(f"argsort <0> dim {self.rng.randrange(len(x.shape))}{way} : <t0>", x.shape, "i32", x)

    def box(self, x: Value) -> tuple[list[Value], tuple[int, ...]]:
        """Starts and sizes of a box that takes some dimensions whole."""
        sizes = tuple(n if self.rng.random() < 0.5 else self.rng.randint(1, n) for n in x.shape)
        return [self.argument((), "i32") for _ in sizes], sizes

    def dynamic_slice(self) -> None:
        x = self.pick(1, 3)
        starts, sizes = self.box(x)
        names = ", ".join(f"<{i + 1}>" for i in range(len(starts)))
        types = ", ".join(f"<t{i}>" for i in range(len(starts) + 1))
        self.emit(f"dynamic_slice <0> [{names}] : ({types})", sizes, x.element, x, *starts)

    def dynamic_update_slice(self) -> None:
        x = self.pick(1, 3)
        starts, sizes = self.box(x)
        count = len(starts)
        names = ", ".join(f"<{i + 1}>" for i in range(count))
        types = ", ".join(f"<t{i}>" for i in range(count + 2))
        self.emit(f"dynamic_update_slice <0> [{names}] = <{count + 1}> : ({types})", x.shape, x.element, x,
                  *starts, self.like(sizes, x.element))
