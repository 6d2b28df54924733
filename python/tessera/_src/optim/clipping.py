# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The norm of a whole gradient, and gradients that are no longer than a bound."""

from __future__ import annotations

import functools
import operator
from typing import Any

from tessera._src.core import dtypes, tree
from tessera._src.core.errors import TraceError
from tessera._src.functions import eager
from tessera._src.ops import elementwise_functions, reductions
from tessera._src.optim.options import check_number
from tessera._src.tracing.operands import convert, is_scalar, lift
from tessera._src.tracing.program_text import is_tracing
from tessera._src.tracing.tracer import Tracer


def lifted_floats(what: str, value: Any) -> tuple[list[Tracer], tree.TreeDef]:
    """A tree of floats as traced values."""
    leaves, structure = tree.flatten(value)
    result = []
    for leaf, path in zip(leaves, tree.paths(structure)):
        made = lift(leaf)
        if not dtypes.is_float(made.dtype):
            raise TraceError("TS1050", f"'{path}' of {what} is of type {dtypes.name_of(made.dtype)}",
                             expected="a type of floats")
        result.append(made)
    if not result:
        raise TraceError("TS1050", f"{what} have no leaves", got=tree.describe(structure))
    return result, structure


def wide_type(leaves: list[Tracer]) -> Any:
    """f64 if it is among the types of the leaves, else f32."""
    return dtypes.f64 if any(leaf.dtype == dtypes.f64 for leaf in leaves) else dtypes.f32


def global_norm(grads: Any) -> Any:
    """The Euclidean norm of all elements of a tree, as of one vector: f32, or f64 if a leaf is.

    Squares are formed and added in that type. On a mesh, every element of the whole arrays counts once,
    however many devices hold it; devices exchange one number, however many leaves there are.
    """
    if not is_tracing():
        return eager.run(global_norm, (grads,), {})
    leaves, _ = lifted_floats("gradients", grads)
    wide = wide_type(leaves)
    terms = [reductions.sum(elementwise_functions.multiply(x, x)) for x in (convert(x, wide) for x in leaves)]
    return elementwise_functions.sqrt(functools.reduce(operator.add, terms))


def clip_by_global_norm(grads: Any, max_norm: Any) -> tuple[Any, Any]:
    """Gradients times min(1, max_norm / (norm + 1e-6)), and the norm that they had: (grads, norm).

    As torch.nn.utils.clip_grad_norm_: the norm is that of ts.optim.global_norm; where it is NaN all gradients
    become NaN, and where it is infinite the finite ones become 0 and the others NaN. Whoever wants an error
    looks at the norm, or passes it to update: `when=ts.isfinite(norm)`.

    Args:
        grads: a tree of floats.
        max_norm: a number of at least 0, or a traced one.

    Raises:
        TraceError: a leaf that is not of floats.
        ConfigError: a negative max_norm.
    """
    if is_scalar(max_norm) and max_norm != float("inf"):
        check_number("max_norm of ts.optim.clip_by_global_norm", max_norm)
    if not is_tracing():
        return eager.run(clip_by_global_norm, (grads, max_norm), {})
    leaves, structure = lifted_floats("gradients", grads)
    norm = global_norm(grads)
    bound = float(max_norm) if is_scalar(max_norm) else convert(lift(max_norm), norm.dtype)
    factor = elementwise_functions.minimum(bound / (norm + 1e-6), 1.0)
    # 16-bit gradients are multiplied in f32, and rounded once.
    factors = {wide: convert(factor, wide) for wide in {wide_type([leaf]) for leaf in leaves}}
    clipped = [convert(convert(leaf, wide) * factors[wide], leaf.dtype)
               for leaf, wide in ((leaf, wide_type([leaf])) for leaf in leaves)]
    return tree.unflatten(structure, clipped), norm
