# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""JAX's derivatives of random programs, asked for before they are needed, and how ours compare."""

from __future__ import annotations

import importlib
from collections import Counter

import jax_peer
import numpy as np
from derivative_program import directions
from random_program import Program

run = importlib.import_module("fuzz-run")
SECOND_EVERY = 3
# Of the norm. Where a program makes more of rounding its arguments, ROUNDINGS times what it makes.
EPSILON = 1e-11
# Of each element, where numbers of about one cancel: directions are of that size, and a gradient that is
# shared by those that tie may come to zero in one order of adding, and to a rounding in another.
LEFTOVER = 1e-15
ROUNDINGS = 64
LEAST_COMPARED = 0.9


def points_of(program: Program, seed: int) -> list[np.ndarray]:
    return [np.array(a, np.float64) if p.element == "f64" else a
            for a, p in zip(run.inputs_of(program, seed), program.arguments)]


class Oracle:
    """JAX's derivatives of programs, which are asked for before they are needed, and what was compared."""

    def __init__(self) -> None:
        self._peer, self._again = jax_peer.Peer(), jax_peer.Peer()
        self.programs = self.compared = 0
        self.reasons: Counter[str] = Counter()
        self.kinds: Counter[str] = Counter()

    def ask(self, program: Program, seed: int) -> None:
        self._peer.ask(_question(program, seed, points_of(program, seed)))

    def answer(self) -> jax_peer.Answer:
        """To the oldest question, counted."""
        answer = self._peer.answer()
        self.programs += 1
        self.compared += bool(answer.arrays)
        self.kinds.update(answer.arrays.keys())
        if answer.reason:
            self.reasons[answer.reason] += 1
        return answer

    def both(self, program: Program, seed: int) -> list[jax_peer.Answer]:
        """At a program's points, and where each number of these is rounded up or down once more."""
        points, rng = points_of(program, seed), np.random.default_rng([seed, 2])
        moved = [x * (1 + 2.0**-52 * rng.choice([-1, 1], x.shape)) if x.dtype == np.float64 else x
                 for x in points]
        for x in (points, moved):
            self._again.ask(_question(program, seed, x))
        return [self._again.answer(), self._again.answer()]

    def leave_out(self, reason: str) -> None:
        """Counts a program that is not compared."""
        self.programs += 1
        self.reasons[reason] += 1

    def is_enough(self) -> bool:
        """Prints what was compared; whether that is enough."""
        kinds = ", ".join(f"{self.kinds[kind]} {kind}" for kind in ("tangents", "gradients", "second"))
        print(f"compared with JAX: {self.compared} of {self.programs} programs ({kinds})")
        for reason, count in self.reasons.most_common():
            print(f"  {count} not: {reason}")
        return self.compared >= LEAST_COMPARED * self.programs

    def close(self) -> None:
        self._peer.close()
        self._again.close()


def _question(program: Program, seed: int, points: list) -> jax_peer.Question:
    return jax_peer.Question(program, points, *directions(program, seed), has_second(seed))


def has_second(seed: int) -> bool:
    return seed % SECOND_EVERY == 0


def unlike_jax(got: dict, wanted: dict, moved: dict | None = None) -> str:
    """What is not JAX's, by more than rounding explains; "" where all is."""
    for kind in wanted:
        if kind not in got:
            continue
        for i, (a, b) in enumerate(zip(got[kind], wanted[kind], strict=True)):
            number = np.isfinite(b)
            size = np.linalg.norm(b[number])
            bound = EPSILON * size + LEFTOVER * np.sqrt(b.size)
            if moved:
                near = moved[kind][i]
                bound += ROUNDINGS * np.linalg.norm((near - b)[number & np.isfinite(near)])
            off = np.linalg.norm((a - b)[number])
            if not off <= bound or (np.isnan(a) != np.isnan(b)).any():
                return (f"{kind} {i}: off by {off:.1e} of {size:.1e}, at most {bound:.1e}; "
                        f"{np.sum(~number)} of JAX's and {np.sum(~np.isfinite(a))} of ours not finite")
    return ""
