# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Collectives of a whole step of training, all of them: by kind, axes, sizes, count and bytes.

Those of Megatron-LM (Shoeybi et al., 2019), of its sequence parallelism (Korthikanti et al., 2022) and of
ZeRO's stages (Rajbhandari et al., 2020). Programs have the sizes of a small GPT-2 and are compiled only.
"""

import math
from collections import Counter

import numpy as np
import pytest
from conftest import needs_compiler
from training_layouts import Layout

import tessera as ts

pytestmark = needs_compiler
BATCH, LENGTH, MICRO, LAYERS, WIDTH = 8, 1024, 2, 3, 768
OPTIMIZER = {stage: ts.optim.AdamW(1e-3, zero="dp" if stage else None) for stage in range(4)}


def model_of(layout: Layout, vocabulary: int, is_tied: bool = False):
    """Without elements, which no program of this size needs to be compiled."""
    config = {"n_embd": WIDTH, "n_head": 12, "n_layer": LAYERS, "n_positions": LENGTH,
              "vocab_size": vocabulary, "tie_word_embeddings": is_tied}
    return ts.models.GPT2(config, parallel=layout.parallel).abstract(layout.mesh)


def lowered(layout: Layout, vocabulary: int, is_tied: bool = False):
    """A step of AdamW with clipping, over micro batches."""
    optimizer, model = OPTIMIZER[layout.zero], model_of(layout, vocabulary, is_tied)

    def loss_of(model, tokens, labels):
        return ts.nn.softmax_cross_entropy(model(tokens), labels, reduction="mean")

    def step(model, state, tokens, labels):
        def add(total, given):
            return ts.tree.map(ts.add, total, ts.value_and_grad(loss_of)(model, *given)), None

        zeros = (ts.zeros((), ts.f32), ts.tree.map(ts.zeros_like, model))
        (loss, gradients), _ = ts.scan(add, zeros, (tokens, labels))
        gradients, norm = ts.optim.clip_by_global_norm(gradients, 1.0)
        model, state = optimizer.update(gradients, state, model)
        return model, state, loss, norm

    batches = ts.ShapeDtypeStruct((MICRO, BATCH, LENGTH), ts.i32)
    batch = ts.P(None, "dp" if layout.dp > 1 else None, None)
    compiled = ts.jit(step, mesh=layout.mesh, donate_argnums=(0, 1), in_shardings=(None, None, batch, batch))
    return compiled.lower(model, optimizer.init(model), batches, batches)


def split(shape, spec, sizes):
    """The part of a device: `spec` splits over axes of these sizes."""
    result = []
    for size, dim in zip(shape, [*spec, *[None] * len(shape)]):
        axes = () if dim is None else (dim,) if isinstance(dim, str) else dim
        result.append(size // math.prod(sizes.get(axis, 1) for axis in axes))
    return tuple(result)


def of_activations(layout: Layout) -> Counter:
    """Over tp: Megatron-LM's, with a vocabulary that is split."""
    whole = (BATCH // layout.dp, LENGTH, WIDTH)
    part = (BATCH // layout.dp, LENGTH // layout.tp, WIDTH)
    found = Counter({("all_reduce", "tp", whole[:2]): 3 * MICRO})  # Of the loss.
    if not layout.sequence:
        found["all_reduce", "tp", whole] = MICRO * (4 * LAYERS + 2)  # And embedding and head.
        return found
    found["all_gather", "tp", part] = MICRO * ((4 if layout.save_gathered else 6) * LAYERS + 2
                                               + (not layout.save_gathered))
    found["reduce_scatter", "tp", whole] = MICRO * (4 * LAYERS + 2)
    return found


def of_gradients(layout: Layout, model, is_tied: bool) -> Counter:
    """Over dp: once a step; in stages 2 and 3 as often as a layer is computed.

    A table that is both the embedding's and the head's has one gradient."""
    found = Counter()
    states = dict(OPTIMIZER[layout.zero].init(model)["exp_avg"].named_parameters())
    for name, leaf in model.named_parameters():
        is_stacked = name.startswith("transformer.h.")
        spec = leaf.sharding.spec
        by_tp = any("tp" in (dim if isinstance(dim, tuple) else (dim,)) for dim in spec)
        whole = split(leaf.shape, spec, {"tp": layout.tp})
        axes = ["dp"] * (layout.dp > 1) + ["tp"] * (layout.sequence and not by_tp)
        if layout.zero == 0:
            if axes:
                found["all_reduce", ",".join(axes), whole] += 1
            continue
        part = split(leaf.shape, states[name].sharding.spec, {"tp": layout.tp, "dp": layout.dp})
        if layout.zero == 1:
            found["reduce_scatter", "dp", whole] += 1
        else:
            found["reduce_scatter", "dp", whole[is_stacked:]] += MICRO * (LAYERS if is_stacked else 1)
        if layout.zero < 3:
            found["all_gather", "dp", part] += 1
            continue
        # Loops over micro batches take what is outside of layers gathered once.
        found["all_gather", "dp", part[is_stacked:]] += MICRO * LAYERS if is_stacked else 1
        if name.endswith("weight") and "wpe" not in name and ("wte" not in name or is_tied):
            found["all_gather", "dp", part[is_stacked:]] += MICRO * (LAYERS if is_stacked else 1)
    return found


def moved(kind: str, shape: tuple, devices: int) -> float:
    """Bytes that each device sends, of an operand of this shape in f32."""
    factor = {"all_reduce": 2 * (devices - 1) / devices, "reduce_scatter": (devices - 1) / devices,
              "all_gather": devices - 1}[kind]
    return 4 * math.prod(shape) * factor


# Which is cheaper depends on the vocabulary: tokens are gathered for a large table, and a small table's
# gradient is added up as those of other weights are.
LAYOUTS = [(Layout(tp=4), 4096), (Layout(dp=4), 4096), (Layout(dp=2, tp=2), 4096),
           (Layout(tp=4, sequence=True), 16384), (Layout(tp=4, sequence=True, save_gathered=False), 16384),
           (Layout(dp=2, tp=2, sequence=True), 16384),
           *[(Layout(dp=4, zero=stage), 4096) for stage in (1, 2, 3)],
           *[(Layout(dp=2, tp=2, zero=stage), 4096) for stage in (1, 2, 3)]]


TIED = [Layout(dp=4), *[Layout(dp=4, zero=stage) for stage in (1, 2, 3)], Layout(dp=2, tp=2, zero=2)]


@pytest.mark.parametrize("layout, vocabulary, is_tied",
                         [*[(*each, False) for each in LAYOUTS], *[(layout, 4096, True) for layout in TIED]],
                         ids=lambda value: {True: "tied", False: "untied"}.get(value, str(value)))
def test_a_step_has_the_collectives_of_the_publications(layout, vocabulary, is_tied):
    found = Counter()
    for row in lowered(layout, vocabulary, is_tied).collectives():
        shape = tuple(row["shape"])
        found[row["kind"], row["axes"], shape] += row["count"]
        devices = math.prod({"dp": layout.dp, "tp": layout.tp}[axis] for axis in row["axes"].split(","))
        assert row["bytes"] == moved(row["kind"], shape, devices), row
    # The loss, and the norm of the gradient, over each axis.
    scalars = [found.pop(key) for key in list(found) if key[2] == ()]
    assert sum(scalars) <= 3
    wanted = of_activations(layout) if layout.tp > 1 else Counter()
    assert found == wanted + of_gradients(layout, model_of(layout, vocabulary, is_tied), is_tied)


def test_sequences_are_kept_whole_or_in_parts():
    """What a backward pass gathers again, it has kept a part of."""
    peaks = {kept: lowered(Layout(tp=4, sequence=True, save_gathered=kept), 16384).memory()["activations"]
             for kept in (True, False)}
    whole = 4 * BATCH * LENGTH * WIDTH
    # Attention and MLP of each layer, and the head: each keeps its input, or what a device has of it.
    np.testing.assert_allclose(peaks[True] - peaks[False], (2 * LAYERS + 1) * (whole - whole / 4), rtol=1e-3)


@pytest.mark.parametrize("is_scanned", [True, False], ids=["scanned", "unrolled"])
def test_no_more_than_two_layers_are_gathered_at_a_time(is_scanned):
    layers, size, hidden = 8, 64, 1024
    parallel = ts.nn.Parallel(zero=3)

    class Net(ts.nn.Module):
        def __init__(self, parallel):
            made = [ts.nn.GatedMLP(size, hidden, parallel=parallel) for _ in range(layers)]
            self.layers = ts.nn.Stack(made[0], layers, parallel=parallel) if is_scanned else made

        def __call__(self, x):
            if is_scanned:
                return self.layers(x)
            for layer in self.layers:
                x = ts.nn.apply_layer(parallel, lambda layer, x: layer(x), layer, x)
            return x

    mesh = ts.make_mesh({"dp": 8})
    model = ts.nn.fully_shard(Net(parallel), parallel).abstract(mesh)
    specs = ts.tree.map(lambda leaf: leaf.sharding.spec, model)
    x = ts.ShapeDtypeStruct((8, 2, size), ts.f32)
    program = ts.jit(ts.grad(lambda model, x: (model(x) ** 2).sum()), mesh=mesh,
                     in_shardings=(None, ts.P("dp")), out_shardings=specs).lower(model, x)
    layer = 4 * 3 * size * hidden
    assert layer / 2 < program.memory()["activations"] < 2 * layer + layer / 2
