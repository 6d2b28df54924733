# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""A random program with functions for its derivatives, as one module of the tessera dialect."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
from random_program import Program

from tessera._src.core import dtypes
from tessera._src.core.errors import TesseraError
from tessera._src.programs import native

REFUSED = "reverse mode cannot pass"
LEAST = re.compile(r"keep of this call is (\d+) bytes")


def floats_of(program: Program) -> tuple[list[int], list[int]]:
    """Numbers of the arguments and of the results that have derivatives."""
    return ([i for i, a in enumerate(program.arguments) if a.element == "f64"],
            [i for i, r in enumerate(program.results) if r.element == "f64"])


def directions(program: Program, seed: int) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Changes of the arguments and weights of the results."""
    rng = np.random.default_rng([seed, 1])
    wanted, floats = floats_of(program)
    changes = [rng.standard_normal(program.arguments[i].shape) for i in wanted]
    return changes, [rng.standard_normal(program.results[i].shape) for i in floats]


class Derivatives:
    """A program with functions for its derivatives, and a function `main` that calls them.

    `main` takes the program's arguments, changes and weights (no weights without `has_reverse`), and gives
    results, tangents, gradients, and with `second` how gradients change along the changes. With a policy,
    what is differentiated is a call of the program that is a checkpoint; "budget" is one that can be met.
    """

    def __init__(self, head: str, program: Program, policy: str | None, second: bool = False):
        program = replace(program, ties={})
        self.program = program
        text, name = head + program.text(), program.name
        if policy == "budget":
            policy = "budget:0"
        if policy:
            given = [(f"%x{i}", program.type_of(a)) for i, a in enumerate(program.arguments)]
            made = [(f"%r{i}", program.type_of(r)) for i, r in enumerate(program.results)]
            text += "\n" + _function("whole", given, made, [_call({"name": name}, given, made, policy)])
            name = "whole"
        self.wanted, self.floats = floats_of(program)
        if policy == "budget:0":
            budget = _least_budget(text, name, self.wanted) + len(text) % 40 * 16
            text = text.replace('checkpoint "budget:0"', f'checkpoint "budget:{budget}"')
        forward, report = native.differentiate(text, name, "jvp", "d", self.wanted)
        jvp = report["functions"][0]
        count = len(program.arguments)
        given = [(a.name, program.type_of(a)) for a in program.arguments]
        changes = [(f"%dx{i}", kind) for i, kind in enumerate(jvp["arguments"][count:])]
        made = [(f"%y{i}", kind) for i, kind in enumerate(jvp["results"])]
        lines, texts = [_call(jvp, [*given, *changes], made)], [text, *forward]
        weights: list[tuple[str, str]] = []
        gradients: list[tuple[str, str]] = []
        curved: list[tuple[str, str]] = []
        try:
            backward, report = native.differentiate(text, name, "vjp", "r", self.wanted)
        except TesseraError as error:
            if REFUSED not in str(error):
                raise
            backward = []
        self.has_reverse = bool(backward)
        if backward:
            fwd, bwd = report["functions"]
            values = [(f"%z{i}", kind) for i, kind in enumerate(fwd["results"])]
            sources = {"argument": given, "result": values, "kept": values[len(program.results) :]}
            residuals = [sources[kind][number] for kind, number in report["residuals"]]
            weights = [(f"%ct{i}", kind) for i, kind in enumerate(bwd["arguments"][len(residuals) :])]
            gradients = [(f"%g{i}", kind) for i, kind in enumerate(bwd["results"])]
            gradient = [_call(fwd, given, values), _call(bwd, [*residuals, *weights], gradients)]
            lines += gradient
            texts += backward
        if backward and second:
            texts.append(_function("gradient", [*given, *weights], gradients, gradient))
            forward, report = native.differentiate("\n".join([text, *backward, texts[-1]]), "gradient", "jvp",
                                                   "s", self.wanted)
            jvp = report["functions"][0]
            both = [(f"%s{i}", kind) for i, kind in enumerate(jvp["results"])]
            lines.append(_call(jvp, [*given, *weights, *changes], both))
            curved = both[len(gradients) :]
            texts += forward
        self.has_second = bool(curved)
        texts.append(_function("main", [*given, *changes, *weights], [*made, *gradients, *curved], lines))
        self.text = "\n".join(texts)

    def outputs(self) -> list[np.ndarray]:
        """Memory for the results of `main`."""
        program, results = self.program, self.program.results
        of_arguments = [program.arguments[i].shape for i in self.wanted]
        shapes = [*[results[i].shape for i in self.floats], *of_arguments * self.has_reverse,
                  *of_arguments * self.has_second]
        return [*[np.zeros(r.shape, dtypes.BY_NAME[r.element]) for r in results],
                *[np.zeros(shape) for shape in shapes]]

    def named(self, outputs: list[np.ndarray]) -> dict[str, list[np.ndarray]]:
        """The results of `main` by what they are, without those of the program that are no floats."""
        first, count = len(self.program.results), len(self.wanted)
        found = {"values": [outputs[i] for i in self.floats],
                 "tangents": outputs[first : first + len(self.floats)]}
        first += len(self.floats)
        if self.has_reverse:
            found["gradients"] = outputs[first : first + count]
        if self.has_second:
            found["second"] = outputs[first + count :]
        return found


def _least_budget(text: str, name: str, wanted: list[int]) -> int:
    """What the error for a budget of 0 says that it has to be."""
    try:
        native.differentiate(text, name, "vjp", "r", wanted)
    except TesseraError as error:
        if least := LEAST.search(str(error)):
            return int(least[1])
    return 0


def _listed(values: list) -> tuple[str, str]:
    """Names and types of values."""
    return ", ".join(name for name, _ in values), ", ".join(kind for _, kind in values)


def _call(function: dict, operands: list, results: list, policy: str = "") -> str:
    (names, kinds), (made, types) = _listed(operands), _listed(results)
    checkpoint = f' checkpoint "{policy}"' if policy else ""
    return f"  {made} = tessera.call @{function['name']}({names}){checkpoint} : ({kinds}) -> ({types})"


def _function(name: str, arguments: list, results: list, lines: list) -> str:
    parameters = ", ".join(f"{value}: {kind}" for value, kind in arguments)
    made, types = _listed(results)
    return "\n".join([f"func.func @{name}({parameters}) -> ({types}) {{", *lines,
                      f"  return {made} : {types}",
                      "}", ""])
