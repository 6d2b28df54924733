# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Which tensor is the first that is not finite: a step computed again, by a program that looks at all."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

from tessera._src.control_flow.loops import scan
from tessera._src.core import dtypes, tree
from tessera._src.functions.jit import jit
from tessera._src.meshes.mesh import Mesh
from tessera._src.ops import creation, derived, elementwise, reductions
from tessera._src.tracing.operands import convert
from tessera._src.training.step import Step

_LISTED = 4


def first_bad(step: Step, mesh: Mesh, model: Any, scale: Any, key: Any, batch: dict[str, Any],
              **options: Any) -> list[str]:
    """What is not finite in a step, in the order in which it arises: weights, activations of the forward
    pass, then gradients, in the order of the backward pass. Each is a sentence with the name of state_dict().
    """
    def counts(model: Any, scale: Any, key: Any, batch: dict[str, Any]) -> Any:
        loss, gradients, _ = step.gradients(model, scale, key, batch)
        if step.scaling is not None:
            gradients, _ = step.scaling.unscale(scale, gradients)
        return (_counts(model), _activations(step, model, batch), loss, _counts(gradients))

    run = jit(counts, mesh=mesh, **options)
    weights, activations, loss, gradients = run(model, scale, key, batch)
    found = [f"weight {line}" for line in _named(model, weights)]
    if activations is not None:
        found += _first_activation(activations)
    if not np.isfinite(float(loss)):
        found.append(f"the loss ({float(loss)})")
    backward = [f"gradient of {line}" for line in reversed(list(_named(model, gradients)))]
    return found + backward


def listed(found: list[str]) -> list[str]:
    """The first ones, and how many more there are."""
    more = len(found) - _LISTED
    return found[:_LISTED] + ([f"and {more} more"] if more > 0 else [])


def _is_bad(value: Any) -> Any:
    return convert(elementwise.logical_not(derived.isfinite(value)), dtypes.i32)


def _counts(module: Any) -> list[Any]:
    """Of each leaf, how many elements are not finite; of a stack, for each layer."""
    stacked = {entry.leaf: len(entry.index) for entry in module.entries("", itertools.count())}
    return [reductions.sum(_is_bad(leaf), axis=tuple(range(stacked.get(i, 0), leaf.ndim)))
            for i, leaf in enumerate(tree.leaves(module))]


def _named(module: Any, counts: list[Any]) -> list[str]:
    leaves = tree.leaves(module)
    result = []
    for entry in module.entries("", itertools.count()):
        count = int(np.asarray(counts[entry.leaf])[entry.index])
        if count:
            result.append(f"'{entry.name}' ({count} of {int(np.prod(entry.shape_of(leaves[entry.leaf])))} "
                          "elements)")
    return result


def _activations(step: Step, model: Any, batch: dict[str, Any]) -> Any:
    """Of each micro-batch, how many elements are not finite of what the embedding, each layer and the head
    give, without dropout; None where the model is not made of these."""
    if not hasattr(model, "watched"):
        return None

    def body(carry: Any, part: dict[str, Any]) -> tuple[Any, Any]:
        given = {name: part[name] for name in ("positions", "segments") if name in step.takes}
        return carry, model.watched(part["tokens"], lambda x: reductions.sum(_is_bad(x)), **given)

    return scan(body, creation.zeros((), dtypes.i32), batch)[1]


def _first_activation(counts: Any) -> list[str]:
    """The first activation that is not finite, of the first micro-batch that has one."""
    embedding, layers, head = (np.asarray(part) for part in counts)
    for row in range(len(embedding)):
        values = [embedding[row], *layers[row], head[row]]
        names = ["the embedding", *(f"layer {i}" for i in range(layers.shape[1])), "the head"]
        for name, value in zip(names, values):
            if value:
                return [f"activation: what {name} gives ({value} elements, micro-batch {row})"]
    return []
