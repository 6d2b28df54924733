# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""A jitted function called inside another: part of its program, with the layouts it asks for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tessera._src.core import tree
from tessera._src.core.errors import ShardingError
from tessera._src.functions.signature import Signature
from tessera._src.functions.trace import constrained_results
from tessera._src.meshes.annotations import Unifier, result_specs
from tessera._src.meshes.mesh import Mesh
from tessera._src.ops.constraints import with_sharding_constraint
from tessera._src.tracing import program_text


def inline(function: Callable, signature: Signature, mesh: Mesh | None, out_shardings: Any,
           args: tuple, kwargs: dict) -> Any:
    """The result of `function` in the program being traced.

    Its in_shardings, out_shardings and annotations are checked and constrain its arguments and
    results, as ts.with_sharding_constraint does.

    Args:
        mesh: that it is for; None is that of the program.
    """
    outer = program_text.current().mesh
    if mesh is not None and mesh != outer:
        raise ShardingError(
            "TS2007", f"{signature.name} is for another mesh than the function that calls it",
            expected=outer, got=mesh,
            hint="give both the same mesh, or leave out that of the inner function")
    unifier = Unifier()
    if signature.has_layouts:
        args, kwargs = _constrained_arguments(signature, outer, unifier, args, kwargs)
    result = function(*args, **kwargs)
    annotation = signature.annotations.get("return")
    if out_shardings is None and result_specs(annotation) is None:
        return result
    flat, structure = constrained_results(result, outer, out_shardings, annotation, unifier, None)
    return tree.unflatten(structure, flat)


def _constrained_arguments(signature: Signature, mesh: Mesh, unifier: Unifier, args: tuple,
                           kwargs: dict) -> tuple[tuple, dict]:
    args, kwargs, statics = signature.separate(args, kwargs)
    leaves, structure = tree.flatten((args, kwargs))
    signature.check_call(leaves, structure, statics)
    arguments = signature.arguments(leaves, structure, mesh, unifier)
    leaves = [leaf if argument.spec is None else with_sharding_constraint(leaf, argument.spec)
              for leaf, argument in zip(leaves, arguments)]
    args, kwargs = tree.unflatten(structure, leaves)
    return args, {**kwargs, **dict(statics)}
