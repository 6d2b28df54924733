# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Programs as text, compiled and run on meshes, against the reference interpreter.

Each op family is split unevenly somewhere: sizes 5, 6 and 7 on 2 and 4 devices.
"""

import re

import numpy as np
import pytest

from conftest import needs_runtime
from programs import kernels_of, mesh_tensor, run
from tessera._src.core import dtypes
from tessera._src.programs import native

RNG = np.random.default_rng(5)
ELEMENTS = {"f32": np.float32, "i32": np.int32, "i1": np.bool_}

# name -> (arguments as "name: 2x3xf32 [layout]", body lines, result type). In a
# body, `T(2x3xf32)` stands for the mesh tensor type with an open layout.
PROGRAMS = {
    "column_then_row_product": (
        ["x: 5x6xf32", "v: 6x7xf32 [{}, {tp}]", "w: 7x6xf32"],
        ['%0 = tessera.contract %x, %v "mk,kn->mn" : T(5x6xf32), A(v) -> T(5x7xf32)',
         "%1 = tessera.gelu %0 approximation tanh : T(5x7xf32) -> T(5x7xf32)",
         '%2 = tessera.contract %1, %w "mk,kn->mn" : T(5x7xf32), T(7x6xf32) -> T(5x6xf32)'],
        "5x6xf32"),
    "sum_over_a_split_dimension": (
        ["x: 5x7xf32 [{}, {tp}]"],
        ["%0 = tessera.reduce sum %x dims [1] : A(x) -> T(5xf32)",
         "%1 = tessera.exp %0 : T(5xf32)"],
        "5xf32"),
    "products_with_the_sum_of_a_split_tensor": (
        ["x: 5x7xf32 [{}, {tp}]"],
        ["%0 = tessera.reduce sum %x dims [0, 1] : A(x) -> T(f32)",
         "%1 = tessera.reduce sum %x dims [1] : A(x) -> T(5xf32)",
         '%2 = tessera.contract %0, %0 ",->" : T(f32), T(f32) -> T(f32)',
         '%3 = tessera.contract %1, %2 "m,->m" : T(5xf32), T(f32) -> T(5xf32)',
         '%4 = tessera.contract %0, %x ",mn->nm" : T(f32), A(x) -> T(7x5xf32)',
         '%5 = tessera.contract %4, %3 "nm,m->n" : T(7x5xf32), T(5xf32) -> T(7xf32)'],
        "7xf32"),
    "max_over_a_split_dimension": (
        ["x: 7x5xf32 [{tp}, {}]"],
        ["%0 = tessera.reduce max %x dims [0] : A(x) -> T(5xf32)"],
        "5xf32"),
    "cumulative_sum_of_a_split_tensor": (
        ["x: 7x5xf32 [{}, {tp}]"],
        ["%0 = tessera.cumulative sum %x dim 0 : A(x) -> T(7x5xf32)",
         "%1 = tessera.cumulative max %0 dim 1 reverse : T(7x5xf32) -> T(7x5xf32)"],
        "7x5xf32"),
    "cumulative_sum_along_a_split_dimension": (
        ["x: 7x5xf32 [{tp}, {}]"],
        ["%0 = tessera.cumulative sum %x dim 0 by_parts : A(x) -> T(7x5xf32)",
         "%1 = tessera.cumulative min %0 dim 0 exclusive reverse by_parts : T(7x5xf32) -> T(7x5xf32)",
         "%2 = tessera.min %1, %x : (T(7x5xf32), A(x)) -> T(7x5xf32)"],
        "7x5xf32"),
    "embedding_split_by_rows": (
        ["table: 7x6xf32 [{tp}, {}]", "ids: 2x5xi32"],
        ["%0 = tessera.gather %table [%ids] dims [0] : (A(table), T(2x5xi32)) -> T(2x5x6xf32)"],
        "2x5x6xf32"),
    "embedding_split_by_columns": (
        ["table: 7x6xf32 [{}, {tp}]", "ids: 2x5xi32"],
        ["%0 = tessera.gather %table [%ids] dims [0] : (A(table), T(2x5xi32)) -> T(2x5x6xf32)"],
        "2x5x6xf32"),
    "points_of_a_value_split_both_ways": (
        ["t: 7x5xf32 [{tp}, {}]", "i: 9xi32 [{tp}]", "j: 9xi32"],
        ["%0 = tessera.gather %t [%i, %j] dims [0, 1] : (A(t), A(i), A(j)) -> T(9xf32)"],
        "9xf32"),
    "lookups_along_an_axis_of_a_split_batch": (
        ["t: 5x7x3xf32 [{tp}, {}, {}]", "i: 5x4xi32"],
        ["%0 = tessera.gather %t [%i] dims [1] batch [0] = [0] : (A(t), A(i)) -> T(5x4x3xf32)"],
        "5x4x3xf32"),
    "updates_of_split_rows": (
        ["t: 7x3xf32 [{tp}, {}]", "i: 5xi32", "u: 5x3xf32 [{tp}, {}]"],
        ["%0 = tessera.scatter set %t [%i] = %u dims [0] : (A(t), A(i), A(u)) -> T(7x3xf32)",
         "%1 = tessera.scatter add %0 [%i] = %u dims [0] : (T(7x3xf32), A(i), A(u)) -> T(7x3xf32)"],
        "7x3xf32"),
    "sums_of_split_updates": (
        ["t: 7x3xf32", "i: 6xi32 [{tp}]", "u: 6x3xf32 [{tp}, {}]"],
        ["%0 = tessera.scatter add %t [%i] = %u dims [0] : (A(t), A(i), A(u)) -> T(7x3xf32)",
         "%1 = tessera.scatter max %0 [%i] = %u dims [0] : (T(7x3xf32), A(i), A(u)) -> T(7x3xf32)"],
        "7x3xf32"),
    "sorted_rows_of_a_split_batch": (
        ["x: 5x40xf32 [{tp}, {}]"],
        ["%0 = tessera.argsort %x dim 1 descending : A(x) -> T(5x40xi32)",
         "%1 = tessera.gather %x [%0] dims [1] batch [0] = [0] : (A(x), T(5x40xi32)) -> T(5x40xf32)"],
        "5x40xf32"),
    "a_cache_that_grows": (
        ["c: 7x15xf32 [{}, {tp}]", "k: 1x15xf32", "i: i32"],
        ["%z = tessera.constant dense<0> : tensor<i32> : T(i32)",
         "%0 = tessera.dynamic_update_slice %c [%i, %z] = %k : (A(c), A(i), T(i32), A(k)) -> T(7x15xf32)",
         "%1 = tessera.dynamic_slice %0 [%i, %z] : (T(7x15xf32), A(i), T(i32)) -> T(2x15xf32)",
         "%2 = tessera.neg %1 : T(2x15xf32)",
         "%3 = tessera.dynamic_update_slice %0 [%z, %z] = %2 : (T(7x15xf32), T(i32), T(i32), T(2x15xf32)) "
         "-> T(7x15xf32)"],
        "7x15xf32"),
    "lookups_in_what_kernels_would_make_anew": (
        ["ids: 2x5xi32 [{}, {tp}]"],
        ["%0 = tessera.constant dense<0.75> : tensor<7xf32> : T(7xf32)",
         "%1 = tessera.gather %0 [%ids] dims [0] : (T(7xf32), A(ids)) -> T(2x5xf32)",
         "%2 = tessera.iota dim 0 : T(7xf32)",
         "%3 = tessera.gather %2 [%ids] dims [0] : (T(7xf32), A(ids)) -> T(2x5xf32)",
         "%4 = tessera.iota dim 1 : T(2x10xf32)",
         "%5 = tessera.slice %4 [0, 1] to [2, 10] by [1, 2] : T(2x10xf32) -> T(2x5xf32)",
         "%6 = tessera.add %1, %3 : T(2x5xf32)",
         "%7 = tessera.mul %6, %5 : T(2x5xf32)"],
        "2x5xf32"),
    "softmax_of_split_rows_and_columns": (
        ["x: 5x7xf32 [{}, {tp}]", "y: 5x7xf32 [{tp}, {}]"],
        ["%0 = tessera.softmax %x dim 1 : A(x) -> T(5x7xf32)",
         "%1 = tessera.softmax %y dim 1 : A(y) -> T(5x7xf32)",
         "%2 = tessera.sub %0, %1 : T(5x7xf32)"],
        "5x7xf32"),
    "norms": (
        ["x: 5x7xf32 [{tp}, {}]", "s: 7xf32", "b: 7xf32"],
        ["%0 = tessera.layer_norm %x, %s, %b epsilon 1.0e-5 : A(x), T(7xf32), T(7xf32) -> T(5x7xf32)",
         "%1 = tessera.rms_norm %0, %s epsilon 1.0e-5 : T(5x7xf32), T(7xf32) -> T(5x7xf32)"],
        "5x7xf32"),
    "losses_of_a_split_vocabulary": (
        ["x: 5x7xf32 [{}, {tp}]", "y: 5xi32"],
        ["%0 = tessera.cross_entropy %x, %y smoothing 0.1 z_loss 0.01 ignore 3 : A(x), T(5xi32) -> T(5xf32)",
         "%1 = tessera.logsumexp %x dim 1 : A(x) -> T(5xf32)",
         "%2 = tessera.sub %0, %1 : T(5xf32)"],
        "5xf32"),
    "changes_of_split_rows": (
        ["x: 5x7xf32 [{}, {tp}]", "d: 5x7xf32 [{tp}, {}]"],
        ["%0 = tessera.norm_tangent %d at %x epsilon 1.0e-2 centred : A(d), A(x) -> T(5x7xf32)",
         "%1 = tessera.norm_tangent %0 at %x epsilon 1.0e-2 : T(5x7xf32), A(x) -> T(5x7xf32)"],
        "5x7xf32"),
    "attention_split_by_heads": (
        ["q: 2x5x4x3xf32 [{}, {}, {tp}, {}]", "k: 2x7x4x3xf32", "v: 2x7x4x3xf32",
         "bias: 2x1x1x7xf32"],
        ["%0 = tessera.attention %q, %k, %v bias %bias scale 0.5 : A(q), T(2x7x4x3xf32), "
         "T(2x7x4x3xf32), T(2x1x1x7xf32) -> T(2x5x4x3xf32)"],
        "2x5x4x3xf32"),
    "causal_attention_split_by_batch": (
        ["q: 3x5x4x3xf32 [{tp}, {}, {}, {}]", "k: 3x5x2x3xf32", "v: 3x5x2x3xf32"],
        ["%0 = tessera.attention %q, %k, %v scale 0.5 causal : A(q), T(3x5x2x3xf32), "
         "T(3x5x2x3xf32) -> T(3x5x4x3xf32)"],
        "3x5x4x3xf32"),
    "movements": (
        ["x: 5x6xf32 [{tp}, {}]", "y: 5x2xf32"],
        ["%0 = tessera.concatenate %x, %y dim 1 : (A(x), T(5x2xf32)) -> T(5x8xf32)",
         "%1 = tessera.transpose %0 [1, 0] : T(5x8xf32) -> T(8x5xf32)",
         "%2 = tessera.slice %1 [1, 0] to [8, 5] by [2, 1] : T(8x5xf32) -> T(4x5xf32)",
         "%3 = tessera.pad %2 low [0, 1] high [1, 0] value 2.0 : f32 : T(4x5xf32) -> T(5x6xf32)",
         "%4 = tessera.reshape %3 : T(5x6xf32) -> T(30xf32)",
         "%5 = tessera.broadcast %4 dims [1] : T(30xf32) -> T(3x30xf32)"],
        "3x30xf32"),
    "reshape_of_a_split_dimension": (
        ["x: 5x12xf32 [{}, {tp}]"],
        ["%0 = tessera.reshape %x : A(x) -> T(5x4x3xf32)",
         "%1 = tessera.transpose %0 [1, 0, 2] : T(5x4x3xf32) -> T(4x5x3xf32)"],
        "4x5x3xf32"),
    "choices": (
        ["x: 5x6xf32 [{}, {tp}]", "y: 5x6xf32"],
        ["%0 = tessera.compare lt %x, %y : A(x), T(5x6xf32) -> T(5x6xi1)",
         "%1 = tessera.not %0 : T(5x6xi1)",
         "%2 = tessera.select %1, %x, %y : T(5x6xi1), A(x), T(5x6xf32) -> T(5x6xf32)",
         "%3 = tessera.convert %2 : T(5x6xf32) -> T(5x6xi32)",
         "%4 = tessera.iota dim 1 : T(5x6xi32)",
         "%5 = tessera.add %3, %4 : T(5x6xi32)"],
        "5x6xi32"),
    "random_numbers_do_not_depend_on_the_mesh": (
        ["key: 2xi32", "x: 5x7xf32 [{tp}, {}]"],
        ["%0 = tessera.rng uniform %key [5, 7] : T(2xi32) -> T(5x7xf32)",
         "%1 = tessera.add %0, %x : (T(5x7xf32), A(x)) -> T(5x7xf32)"],
        "5x7xf32"),
    "numbers_of_a_batch_of_keys_do_not_depend_on_the_mesh": (
        ["keys: 5x2xi32", "x: 5x7xf32 [{tp}, {}]"],
        ["%0 = tessera.rng normal %keys [5, 7] : T(5x2xi32) -> T(5x7xf32)",
         "%1 = tessera.add %0, %x : (T(5x7xf32), A(x)) -> T(5x7xf32)"],
        "5x7xf32"),
}


def _program(name: str, mesh: str) -> tuple[str, list[np.ndarray], np.ndarray]:
    """The program's text on a mesh, its inputs, and memory for its result."""
    arguments, body, result = PROGRAMS[name]
    types, inputs, parameters = {}, [], []
    for argument in arguments:
        label, text, layout = re.fullmatch(r"(\w+): (\S+)(?: (\[.*\]))?", argument).groups()
        types[label] = mesh_tensor(text, layout or "")
        parameters.append(f"%{label}: {types[label]}")
        inputs.append(_array(text))
    lines = []
    for line in body:
        line = re.sub(r"T\((\w+)\)", lambda m: mesh_tensor(m[1]), line)
        line = re.sub(r"A\((\w+)\)", lambda m: types[m[1]], line)
        # Elementwise ops print one type where all are equal; here layouts differ.
        lines.append("  " + line)
    value = body[-1].split(" = ")[0]
    text = "\n".join([
        f"dist.mesh @mesh <[{mesh}]>",
        f"func.func @main({', '.join(parameters)}) -> {mesh_tensor(result)} {{", *lines,
        f"  return {value} : {mesh_tensor(result)}", "}", ""])
    return text, inputs, np.zeros_like(_array(result))


def _array(text: str) -> np.ndarray:
    *sizes, element = text.split("x")
    shape = tuple(int(size) for size in sizes)
    if element == "f32":
        return RNG.standard_normal(shape, dtype=np.float32)
    return RNG.integers(0, 7, shape).astype(ELEMENTS[element])


def _check(name: str, mesh: str, target: str) -> None:
    text, inputs, want = _program(name, mesh)
    native.interpret(text, inputs, [want])
    got = run(text, inputs, target)[0]
    assert dtypes.MLIR_NAMES[got.dtype] == dtypes.MLIR_NAMES[want.dtype]
    np.testing.assert_allclose(got, want, rtol=2e-5, atol=2e-6)


@needs_runtime
@pytest.mark.parametrize("mesh", ["tp = 1", "tp = 2", "tp = 4",
                                  pytest.param("dp = 2, tp = 3", marks=pytest.mark.quick)])
@pytest.mark.parametrize("name", PROGRAMS)
def test_cpu_runs_equal_the_interpreter(name, mesh):
    _check(name, mesh, "cpu")


@pytest.mark.quick
@needs_runtime
@pytest.mark.parametrize("name", PROGRAMS)
def test_emulated_runs_equal_the_interpreter(name):
    _check(name, "tp = 2", "emulated")


@needs_runtime
@pytest.mark.parametrize("chip", ["sm_80", "sm_90a", "sm_100a"])
def test_cubins_spill_no_registers(chip):
    text, _, _ = _program("attention_split_by_heads", "tp = 2")
    kernels = kernels_of(text, chip)
    assert kernels and all(kernel["spillBytes"] == 0 for kernel in kernels)
