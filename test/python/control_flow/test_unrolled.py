# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""A scan means what its unrolled program means, at every stage of tensors, on every mesh."""

from collections import Counter

import numpy as np
import pytest
from conftest import needs_compiler

import tessera as ts

RNG = np.random.default_rng(4)
X = RNG.standard_normal((4, 6)).astype(np.float32)
MESHES = {"one": None, "tp2": ts.make_mesh({"tp": 2}), "dp2 tp3": ts.make_mesh({"dp": 2, "tp": 3})}
STAGES = ["tessera", "layouts", "reshards", "local"]


def layers(count, inner=12):
    return ts.tree.stack([
        {"up": RNG.standard_normal((6, inner)).astype(np.float32) / 3,
         "down": RNG.standard_normal((inner, 6)).astype(np.float32) / 3,
         "scale": np.ones(6, np.float32)} for _ in range(count)])


def layer(x, weights):
    h = ts.gelu(ts.rms_norm(x, weights["scale"]) @ weights["up"]) @ weights["down"]
    return x + h, h.sum()


SPLIT = {"up": ts.P(None, None, "tp"), "down": ts.P(None, "tp", None)}


def model(mesh, unroll=1):
    """Layers with Megatron's layout: one all-reduce in each."""
    if mesh is None:
        return ts.jit(lambda x, w: ts.scan(layer, x, w, unroll=unroll))
    batch = ts.P("dp") if "dp" in mesh.shape else None
    return ts.jit(lambda x, w: ts.scan(layer, x, w, unroll=unroll), mesh=mesh,
                  in_shardings={"x": batch, "w": SPLIT})


@needs_compiler
@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("mesh", MESHES)
def test_a_scan_equals_its_unrolled_program_in_the_interpreter_bit_for_bit(mesh, stage):
    weights = layers(3)
    lowered = [model(MESHES[mesh], unroll).lower(X, weights) for unroll in (1, True)]
    (out, ys), (wanted, rows) = [one.interpret(X, weights, stage=stage) for one in lowered]
    np.testing.assert_array_equal(out, wanted)
    np.testing.assert_array_equal(ys, rows)


@needs_compiler
def test_each_iteration_has_the_collectives_of_the_unrolled_program():
    weights = layers(5)

    def counted(unroll):
        table = model(MESHES["tp2"], unroll).lower(X, weights).collectives()
        found = Counter()
        for row in table:
            found[row["kind"], row["axes"], tuple(row["shape"])] += row.get("count", 1)
        return found, len(table)

    (scanned, rows), (unrolled, _) = counted(1), counted(True)
    assert scanned == unrolled and scanned["all_reduce", "tp", (4, 6)] == 5 and rows <= 2
    lowered = model(MESHES["tp2"]).lower(X, weights)
    assert "5 times" in lowered.explain()
    once, many = lowered.cost(), model(MESHES["tp2"], True).lower(X, weights).cost()
    assert once["collectives"] == many["collectives"]
    assert once["communicated_bytes"] == many["communicated_bytes"]
    np.testing.assert_allclose(once["flops"], many["flops"], rtol=0.01)
