# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Every op computed for a batch, against the op computed entry by entry, by the reference interpreter.

The uses of ops are those of test_every_op.py, and so are the element types. An op of the dialect without a
case there, or that is not named here, fails.
"""

import sys
from pathlib import Path

import numpy as np
import pytest

from conftest import needs_compiler
from programs import mesh_tensor
from tessera._src.core import dtypes
from tessera._src.programs import native

sys.path.append(str(Path(__file__).parents[1] / "language"))

from test_every_op import CASES, TOLERANCE, _program  # noqa: E402

SIZE = 3  # Entries; uneven on a mesh of 2.

# Ops without a case, and what tests how they are batched.
ELSEWHERE = {
    **dict.fromkeys(("scan", "while", "cond", "yield", "barrier", "debug_print", "debug_check", "call",
                     "reshard", "stop_gradient", "checkpoint_name"),
                    "test/lit/dialects/Tessera/Batching, test_vmap.py, test_control_flow.py"),
    "attention_tangent": "refused: only its transpose is computed",
    "custom_tangent": "refused: test/lit/dialects/Tessera/Batching/vectorize-invalid.mlir",
}


def _counts(op: str) -> list[int]:
    """How many inputs each use of the op has in the program of all of them."""
    return [len(case.arguments) for case in CASES[op] for _ in case.types_and_unsigned()]


def _chosen(op: str, pattern: str) -> list[int]:
    """Numbers of the inputs that are batched."""
    result, first = [], 0
    for count in _counts(op):
        own = range(first, first + count)
        result += {"all": own, "first": own[:1], "second": own[1:2], "others": own[1:]}[pattern]
        first += count
    return result


def _entry(array: np.ndarray, number: int) -> np.ndarray:
    """What entry `number` has: the elements in another order, scalars changed."""
    if array.size > 1:
        return np.roll(array.ravel(), 5 * number).reshape(array.shape)
    if array.dtype == np.bool_:
        return np.asarray(array ^ bool(number % 2))
    return np.asarray(array + number, array.dtype)


def _batched_text(text: str, chosen: list[int], axes: tuple[str, ...] = ()
                  ) -> tuple[str, list[str], list[bool]]:
    texts, report = native.vectorize(text, "main", "batched", SIZE, chosen, axes)
    made = report["functions"][0]
    public = [made.replace("func.func private @batched(", "func.func @batched(") for made in texts]
    return "\n".join([text, *public]), made["arguments"], report["batched"]


def _patterns() -> list[tuple[str, str]]:
    found = []
    for op in CASES:
        most = max(_counts(op), default=0)
        found += [(op, pattern) for pattern, least in (("all", 1), ("first", 2), ("second", 2), ("others", 3))
                  if most >= least]
    return found


def _check(got, wanted, name):
    tolerance = TOLERANCE.get(dtypes.MLIR_NAMES[wanted.dtype], 0)
    if not tolerance:
        np.testing.assert_array_equal(got, wanted, err_msg=name)
        return
    got, wanted = got.astype(np.float64), wanted.astype(np.float64)
    size = np.max(np.abs(wanted), where=np.isfinite(wanted), initial=1)
    np.testing.assert_allclose(got, wanted, rtol=tolerance, atol=tolerance * size / 10, err_msg=name)


@needs_compiler
def test_every_op_of_the_dialect_is_tested(opt):
    listed = opt("module {}", "--test-list-ops=dialect=tessera")
    ops = {line.removeprefix("tessera.") for line in listed.splitlines() if line.startswith("tessera.")}
    assert ops == CASES.keys() | ELSEWHERE.keys()


@needs_compiler
@pytest.mark.parametrize("op, pattern", _patterns())
def test_batch_equals_entries(op, pattern):
    text, inputs, outputs, names = _program(op, "cpu", CASES[op])
    chosen = _chosen(op, pattern)
    batched, _, depends = _batched_text(text, chosen)
    entries = [[_entry(array, k) if i in chosen else array for i, array in enumerate(inputs)]
               for k in range(SIZE)]
    given = [np.stack([entry[i] for entry in entries]) if i in chosen else array
             for i, array in enumerate(inputs)]
    got = [np.zeros((SIZE, *array.shape) if has else array.shape, array.dtype)
           for array, has in zip(outputs, depends)]
    native.interpret(batched, given, got, entry="batched")
    for k, entry in enumerate(entries):
        wanted = [np.zeros_like(array) for array in outputs]
        native.interpret(text, entry, wanted)
        for mine, want, has, name in zip(got, wanted, depends, names):
            _check(mine[k] if has else mine, want, name)


@needs_compiler
@pytest.mark.parametrize("op, pattern", _patterns())
def test_batch_split_over_a_mesh_equals_batch(op, pattern):
    text, inputs, outputs, names = _program(op, "cpu", CASES[op])
    mesh = text.partition("\n")[0]
    text = text.replace(mesh, "dist.mesh @mesh <[dp = 2, tp = 2]>")
    chosen = _chosen(op, pattern)
    batched, arguments, depends = _batched_text(text, chosen, ("dp",))
    lines, values = [], []
    for i, kind in enumerate(arguments):
        values.append(f"%a{i}")
        if i in chosen:
            values[-1] = f"%c{i}"
            layout = ", ".join(["{dp}", *["{?}"] * inputs[i].ndim])
            lines.append(f"  %c{i} = tessera.constrain %a{i} to <@mesh, [{layout}]> : {kind} -> {kind}")
    results = [mesh_tensor("x".join(map(str, [*[SIZE] * has, *array.shape, dtypes.MLIR_NAMES[array.dtype]])))
               for array, has in zip(outputs, depends)]
    whole = ", ".join(results)
    parameters = ", ".join(f"%a{i}: {kind}" for i, kind in enumerate(arguments))
    returned = ", ".join(f"%r#{i}" for i in range(len(results))) if len(results) > 1 else "%r"
    split = "\n".join([
        batched, f"func.func @split({parameters}) -> ({whole}) {{", *lines,
        f"  %r{f':{len(results)}' if len(results) > 1 else ''} = tessera.call @batched({', '.join(values)}) "
        f": ({', '.join(arguments)}) -> ({whole})", f"  return {returned} : {whole}", "}"])
    given = [np.stack([_entry(array, k) for k in range(SIZE)]) if i in chosen else array
             for i, array in enumerate(inputs)]
    wanted = [np.zeros((SIZE, *array.shape) if has else array.shape, array.dtype)
              for array, has in zip(outputs, depends)]
    got = [np.zeros_like(array) for array in wanted]
    native.interpret(batched, given, wanted, entry="batched")
    native.interpret(split, given, got, entry="split", stage="local")
    for mine, want, name in zip(got, wanted, names):
        _check(mine, want, name)
