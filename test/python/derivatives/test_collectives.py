# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Collectives of gradients: Megatron-LM's, though only its two weights a layer are annotated."""

import re
from collections import Counter

import gpt
import numpy as np
import pytest
from conftest import needs_compiler

import tessera as ts

pytestmark = needs_compiler

MESHES = {"tp2": {"tp": 2}, "tp4": {"tp": 4}, "dp2 x tp2": {"dp": 2, "tp": 2}}
ACTIVATION = (gpt.BATCH, gpt.LENGTH, gpt.WIDTH)
ANNOTATED = {"layers": [gpt.SPECS] * gpt.LAYERS}


def lowered(function, mesh, layouts, *args):
    return ts.jit(function, mesh=ts.make_mesh(mesh), in_shardings=layouts).lower(*args)


def collectives(program):
    """How often (kind, axes, local shape) happens, each run of a loop counted."""
    rows = program.collectives()
    return Counter({key: sum(row["count"] for row in rows if key == _key(row)) for key in map(_key, rows)})


def _key(row):
    return row["kind"], row["axes"], tuple(row["shape"])


def local(shape, mesh):
    """An array whose first dimension is split by 'dp'."""
    return (shape[0] // mesh.get("dp", 1), *shape[1:])


def spec_of(mesh, *dims):
    return ts.P(*[axis if axis in mesh else None for axis in dims])


def layers(params, x, ct, layer=gpt.layer):
    """The last layers' value, and the pullback of all their arguments, at a cotangent."""
    def forward(params, x):
        for p in params["layers"]:
            x = layer(p, x)
        return x

    value, pullback = ts.vjp(forward, params, x)
    return value, pullback(ct)


def stacked(params, x, ct):
    """As `layers`, but one layer scanned over stacked weights."""
    value, pullback = ts.vjp(lambda p, x: ts.scan(lambda x, p: (gpt.layer(p, x), None), x, p)[0], params, x)
    return value, pullback(ct)


@pytest.mark.parametrize("mesh", MESHES)
@pytest.mark.parametrize("is_scanned", [False, True], ids=["unrolled", "scanned"])
def test_a_layer_has_four_all_reduces_of_its_activations_and_no_more(mesh, is_scanned):
    mesh, x = MESHES[mesh], np.ones(ACTIVATION, np.float32)
    weights = gpt.weights(np.float32)["layers"]
    if is_scanned:
        params = {name: np.stack([layer[name] for layer in weights]) for name in weights[0]}
        annotated = {name: ts.P(None, *spec) for name, spec in gpt.SPECS.items()}
    else:
        params, annotated = {"layers": weights}, ANNOTATED
    batch = spec_of(mesh, "dp")
    program = lowered(stacked if is_scanned else layers, mesh,
                      {"params": annotated, "x": batch, "ct": batch}, params, x, x)
    found = collectives(program)
    assert found.pop(("all_reduce", "tp", local(ACTIVATION, mesh))) == 4 * gpt.LAYERS
    # All else are the sums of gradients over the batch: one a weight.
    assert {key[:2] for key in found} <= {("all_reduce", "dp")}
    assert sum(found.values()) == (len(ts.tree.leaves(params)) if "dp" in mesh else 0)


@pytest.mark.parametrize("policy, count", [("everything", 4), ("dots", 4), ("nothing", 5)])
def test_a_checkpoint_sums_again_what_it_computes_again(policy, count):
    """Behind the MLP nothing is computed again."""
    def recomputed(params, x, ct):
        return layers(params, x, ct, ts.checkpoint(gpt.layer, policy=policy))

    x = np.ones(ACTIVATION, np.float32)
    program = lowered(recomputed, MESHES["tp2"], {"params": ANNOTATED}, {
        "layers": gpt.weights(np.float32)["layers"]}, x, x)
    assert collectives(program) == {("all_reduce", "tp", ACTIVATION): count * gpt.LAYERS}


def test_the_gradients_of_query_key_and_value_meet_in_one_all_reduce():
    def projections(p, x):
        return [x @ p[name] for name in "qkv"]

    def pulled(p, x, ct):
        return ts.vjp(projections, p, x)[1]([ct] * 3)

    params, x = {name: np.ones((8, 8), np.float32) for name in "qkv"}, np.ones((4, 6, 8), np.float32)
    columns = ts.P(None, "tp")
    program = lowered(pulled, MESHES["tp2"], {"p": dict.fromkeys("qkv", columns)}, params, x, x)
    assert collectives(program) == {("all_reduce", "tp", (4, 6, 8)): 1}


@pytest.mark.parametrize("mesh", MESHES)
def test_a_split_vocabulary_adds_reductions_of_tokens(mesh):
    """Beside the sum of the looked up rows, and that of the cotangent of what the head is given."""
    mesh, tokens = MESHES[mesh], gpt.batches(1)[0]

    def found(annotated):
        return collectives(lowered(ts.value_and_grad(gpt.loss), mesh,
                                   {"params": annotated, "tokens": spec_of(mesh, "dp")},
                                   gpt.weights(np.float32), tokens))

    whole, split = found(ANNOTATED), found({**ANNOTATED, "words": ts.P("tp", None)})
    activation = local(ACTIVATION, mesh)
    assert whole["all_reduce", "tp", activation] == 4 * gpt.LAYERS
    assert split["all_reduce", "tp", activation] == 4 * gpt.LAYERS + 2
    added = Counter({key: n for key, n in (split - whole).items()
                     if "tp" in key[1] and key[2] != activation})
    # The largest logit, the sum of exponentials and the label's logit.
    assert added.pop(("all_reduce", "tp", activation[:2])) == 3
    assert {key[2] for key in added} <= {()}  # The loss itself.


@pytest.mark.parametrize("mesh", MESHES)
def test_gradients_of_microbatches_are_reduced_once(mesh):
    mesh, weights = MESHES[mesh], gpt.weights(np.float32)

    def accumulated(params, batches):
        def add(carry, tokens):
            return ts.tree.map(ts.add, carry, ts.value_and_grad(gpt.loss)(params, tokens)), None

        zeros = ts.tree.map(ts.zeros_like, params)
        return ts.scan(add, (ts.zeros((), ts.f32), zeros), batches)[0]

    program = lowered(accumulated, mesh, {"params": ANNOTATED, "batches": spec_of(mesh, "none", "dp")},
                      weights, gpt.batches(8))
    found = collectives(program)
    assert found.pop(("all_reduce", "tp", local(ACTIVATION, mesh))) == 8 * 4 * gpt.LAYERS
    assert {key[:2] for key in found} <= {("all_reduce", "dp")}
    assert sum(found.values()) == (1 + len(ts.tree.leaves(weights)) if "dp" in mesh else 0)


@pytest.mark.parametrize("mesh", MESHES)
def test_a_gradient_arrives_in_the_layout_of_its_weight(mesh):
    mesh = MESHES[mesh]
    program = lowered(ts.grad(gpt.loss), mesh, {"params": {**ANNOTATED, "words": ts.P("tp", None)}, "tokens":
                      spec_of(mesh, "dp")}, gpt.weights(np.float32), gpt.batches(1)[0])
    text = program.as_text("local")
    main = re.search(r"func\.func @main\((.*?)\) -> \((.*?)\)(?: attributes .*)? \{\n", text)
    arguments, results = main.groups()
    weights, gradients = (re.findall(r"dist\.layout = #dist\.layout<@\w+, (\[.*?\])[,>]", part)
                          for part in (arguments, results))
    assert weights[: len(gradients)] == gradients and len(gradients) == len(
        ts.tree.leaves(gpt.weights(np.float32)))
    assert any("tp" in layout for layout in gradients)


def test_a_training_step_reduces_each_gradient_once():
    """Both moments use it, and both have the layout of the weight, as they are donated."""
    mesh = MESHES["dp2 x tp2"]
    program = gpt.compiled_step(ts.make_mesh(mesh)).lower(
        gpt.initial(np.float32), gpt.batches(1)[0], np.float32(1e-8), np.float32(0.1))
    found = collectives(program)
    assert found.pop(("all_reduce", "tp", local(ACTIVATION, mesh))) == 4 * gpt.LAYERS
    assert {key[:2] for key in found} == {("all_reduce", "dp")}
    assert sum(found.values()) == len(ts.tree.leaves(gpt.weights(np.float32))) + 1
