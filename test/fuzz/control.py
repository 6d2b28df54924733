# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Steps of the generator that make loops and conditionals, with random steps inside."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from random_program import Block, Op, Trust, Value

MAX_DEPTH = 3
MAX_LENGTH = 4


class ControlSteps:
    """A part of Generator: regions are built by its own steps on the values that they capture."""

    depth = 0

    # -- regions -------------------------------------------------------------------------------

    def region(self, arguments: list[Value], finish: Callable[[], list[Value]]) -> Block:
        """A block of random ops; `finish` adds what it yields."""
        outer_ops, outer_values = self.ops, self.values
        self.ops, self.values = [], [*outer_values, *arguments]
        self.depth += 1
        for step in self.choose_steps(self.rng.randint(1, 4)):
            self.values = [v for v in self.values if v.size <= self.elements] or self.values
            step()
        yields = finish()
        block = Block(tuple(arguments), tuple(self.ops), tuple(yields))
        self.depth -= 1
        # What the region captured as a new argument of the function is there outside too.
        made = {v.name for v in self.program.arguments}
        known = {v.name for v in outer_values}
        outer_values.extend(v for v in self.values if v.name in made and v.name not in known)
        self.ops, self.values = outer_ops, outer_values
        return block

    def region_op(self, text: str, results: list[Value], operands: list[Value], blocks: list[Block]) -> None:
        self.ops.append(Op(tuple(results), text, tuple(operands), tuple(blocks)))
        self.values.extend(results)

    def find(self, like: Value, without: Value | None = None) -> Value | None:
        """A value of the region of the shape and element type of `like`, trusted as much."""
        fitting = [v for v in self.values[-12:] if (v.shape, v.element) == (like.shape, like.element)
                   and v.trust >= like.trust and v != without]  # fmt: skip
        return self.rng.choice(fitting) if fitting else None

    def next_value(self, carried: Value) -> Value:
        """What an iteration makes of a carried value: bounded, so that iterations do not grow it."""
        other = self.find(carried, without=carried)
        if other is None or self.rng.random() < 0.1:
            return carried
        if carried.element == self.wide and carried.trust != Trust.EXACT:
            return self.elementwise("tanh", other)
        return other

    def initial_values(self) -> list[tuple[Value, Value]]:
        """Initial values and block arguments of up to three carried values."""
        pairs = []
        for _ in range(self.rng.randint(0, 3)):
            init = self.pick(0, 3)
            exact = init.trust == Trust.EXACT and (not self.is_float(init) or self.rng.random() < 0.3)
            trust = Trust.EXACT if exact else Trust.SUMMED
            pairs.append((init, self.value(init.shape, init.element, trust)))
        return pairs

    def accumulator(self) -> tuple[Value, Value]:
        """A sum that starts at zero, to which each iteration adds what may be partial."""
        shape = self.shape(self.rng.randint(0, 2))
        return (self.splat(shape, self.wide, 0), self.value(shape, self.wide, Trust.SUMMED))

    # -- ops -----------------------------------------------------------------------------------

    def scan(self) -> None:
        if self.depth >= MAX_DEPTH:
            return
        pairs = self.initial_values()
        sums = [self.accumulator() for _ in range(self.rng.choice([0, 0, 1, 1, 2]))]
        sequences = []
        length = self.rng.randint(0, MAX_LENGTH)
        if self.rng.random() < 0.6:
            fitting = [v for v in self.values if v.shape and v.shape[0] <= 2 * MAX_LENGTH]
            shape = (self.rng.randint(1, MAX_LENGTH), *self.shape(self.rng.randint(0, 2)))
            first = self.rng.choice(fitting) if fitting else self.argument(shape, self.wide)
            length = first.shape[0]
            sequences = [first]
            if self.rng.random() < 0.4:
                shape = (length, *self.shape(self.rng.randint(0, 2)))
                sequences.append(self.like(shape, self.rng.choice([self.wide, "i32"])))
        index = self.value((), "i32", Trust.EXACT)
        slices = [self.value(v.shape[1:], v.element, v.trust) for v in sequences]
        arguments = [index, *(a for _, a in pairs + sums), *slices]
        stacked: list[Value] = []

        def finish() -> list[Value]:
            yields = [self.next_value(argument) for _, argument in pairs]
            for _, total in sums:
                term = self.term(total.shape, total.element, "sum") if self.rng.random() < 0.5 else None
                term = term or self.find(replace(total, trust=Trust.SUMMED), without=total)
                yields.append(self.elementwise("add", total, term or total))
            if length > 0:
                chosen = self.values[len(self.values) - self.rng.choice([0, 1, 1, 2]):]
                stacked.extend(v for v in chosen if len(v.shape) < 4)
            return [*yields, *stacked]

        block = self.region(arguments, finish)
        results = [self.value(a.shape, a.element, a.trust) for _, a in pairs + sums]
        results += [self.value((length, *v.shape), v.element, v.trust) for v in stacked]
        inits = [init for init, _ in pairs + sums]
        names = [f"<{i}>" for i in range(len(inits) + len(sequences))]
        types = [f"<t{i}>" for i in range(len(names))]
        n = len(inits)
        reverse = " reverse" if self.rng.random() < 0.3 else ""
        self.region_op(
            f"scan ({', '.join(names[:n])}) over ({', '.join(names[n:])}) length {length}{reverse} : "
            f"({', '.join(types[:n])}) over ({', '.join(types[n:])}) -> <results> <r0>",
            results, [*inits, *sequences], [block])  # fmt: skip

    def while_loop(self) -> None:
        """A loop with a counter, whose limit may be a value."""
        if self.depth >= MAX_DEPTH:
            return
        pairs = [(self.splat((), "i32", 0), self.value((), "i32", Trust.EXACT)), *self.initial_values()]
        limit = (self.splat((), "i32", self.rng.randint(0, MAX_LENGTH)) if self.rng.random() < 0.5
                 else self.like((), "i32", Trust.EXACT))  # fmt: skip
        if limit.name not in {a.name for a in self.program.arguments}:
            # A value of any size: at most MAX_LENGTH iterations.
            limit = self.elementwise("min", limit, self.splat((), "i32", MAX_LENGTH), trust=Trust.EXACT)
        arguments = [a for _, a in pairs]
        copies = [self.value(a.shape, a.element, a.trust) for a in arguments]

        def predicate() -> list[Value]:
            return [self.emit("compare lt <0>, <1> : <t0>, <t1>", (), "i1", copies[0], limit)]

        def finish() -> list[Value]:
            one = self.splat((), "i32", 1)
            count = self.elementwise("add", arguments[0], one, trust=Trust.EXACT)
            return [count, *(self.next_value(argument) for argument in arguments[1:])]

        condition, body = self.region(copies, predicate), self.region(arguments, finish)
        inits = [init for init, _ in pairs]
        names = ", ".join(f"<{i}>" for i in range(len(inits)))
        types = ", ".join(f"<t{i}>" for i in range(len(inits)))
        self.region_op(f"while ({names}) : ({types}) -> <results> cond <r0> do <r1>",
                       [self.value(a.shape, a.element, a.trust) for a in arguments], inits,
                       [condition, body])  # fmt: skip

    def selector(self) -> Value:
        """A scalar that is the same however the program is evaluated."""
        if self.rng.random() < 0.5:
            return self.like((), "i32", Trust.EXACT)
        x = self.like((), self.rng.choice(["i32", "i64"]), Trust.EXACT)
        y = self.splat((), x.element, self.rng.randint(0, 4))
        direction = self.rng.choice(["eq", "ne", "lt", "ge"])
        return self.emit(f"compare {direction} <0>, <1> : <t0>, <t1>", (), "i1", x, y)

    def cond(self) -> None:
        if self.depth >= MAX_DEPTH:
            return
        selector = self.selector()
        wanted = [self.pick(0, 3) for _ in range(self.rng.randint(1, 2))]
        trusts = [Trust.EXACT] * len(wanted)

        def finish() -> list[Value]:
            yields = []
            for i, value in enumerate(wanted):
                like = replace(value, trust=Trust.SUMMED)
                if self.rng.random() < 0.1:
                    found = self.splat(like.shape, like.element, 0) if like.element != "i1" else None
                elif self.rng.random() < 0.2 and like.element == self.wide:
                    found = self.term(like.shape, like.element, "sum")
                else:
                    found = self.find(like)
                yields.append(found or value)
                trusts[i] = min(trusts[i], yields[-1].trust)
            return yields

        count = 2 if selector.element == "i1" else self.rng.randint(1, 3)
        blocks = [self.region([], finish) for _ in range(count)]
        results = [self.value(v.shape, v.element, trust) for v, trust in zip(wanted, trusts)]
        regions = ", ".join(f"<r{i}>" for i in range(count))
        self.region_op(f"cond <0> : <t0> -> <results> {regions}", results, [selector], blocks)

    # -- effects -------------------------------------------------------------------------------

    def barrier(self) -> None:
        values = [self.pick(0, 3) for _ in range(self.rng.randint(1, 3))]
        if self.rng.random() < 0.3:
            values[0] = self.term(self.shape(self.rng.randint(0, 2)), self.wide, "sum")
        names = ", ".join(f"<{i}>" for i in range(len(values)))
        types = ", ".join(f"<t{i}>" for i in range(len(values)))
        self.region_op(f"barrier {names} : ({types}) -> <results>",
                       [self.value(v.shape, v.element, v.trust) for v in values], values, [])  # fmt: skip

    def debug(self) -> None:
        """A check that holds, or a print."""
        x = self.pick(0, 2)
        if self.rng.random() < 0.3:
            self.region_op('debug_print "value {}" (<0>) : <t0>', [], [x], [])
            return
        x = self.pick(0, 2, lambda v: v.trust == Trust.EXACT and v.element != "i1")
        holds = self.emit("compare eq <0>, <0> : <t0>, <t0>", x.shape, "i1", x)
        ordered = " ordered" if self.rng.random() < 0.5 else ""
        if self.is_float(x):
            # NaN is not equal to itself.
            differs = self.emit("compare ne <0>, <0> : <t0>, <t0>", x.shape, "i1", x)
            holds = self.elementwise("or", holds, differs, trust=Trust.EXACT)
        self.region_op(f'debug_check <0> "not equal to itself" (){ordered} : <t0>, ()', [], [holds], [])
