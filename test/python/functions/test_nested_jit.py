# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""A jitted function called inside another is part of its program, with the layouts it asks for."""

import numpy as np
import pytest

import tessera as ts
from conftest import needs_runtime
from refusals import check
from tessera.models import Encoder
from tessera.models.encoder import EncoderConfig, random_weights

pytestmark = pytest.mark.quick

X = np.arange(24, dtype=np.float32).reshape(4, 6)
MESH = ts.make_mesh({"dp": 2, "tp": 3})


def constraints(outer, *args, mesh=MESH):
    text = ts.jit(outer, mesh=mesh).lower(*args).as_text()
    return [line.split(" to <@mesh, ")[1].split(">")[0] for line in text.splitlines() if "constrain" in line]


def test_layouts_of_the_inner_function_become_constraints():
    inner = ts.jit(lambda x, y: {"a": x @ y.T, "b": y}, mesh=MESH,
                   in_shardings={"y": ts.P(None, "tp")}, out_shardings={"a": ts.P("dp", "tp")})
    assert constraints(lambda x: inner(x, y=x + 1)["a"] * 2, X) == ["[{}, {tp}]", "[{dp}, {tp}]"]


def test_annotations_of_the_inner_function_are_checked():
    @ts.jit
    def inner(x: ts.MeshTensor["B", "D", ts.P("dp")], w: ts.MeshTensor["D", "H"]
              ) -> ts.MeshTensor["B", "H", ts.P("dp", "tp")]:
        return x @ w

    assert constraints(lambda x: inner(x, x.T), X) == ["[{dp}, {}]", "[{dp}, {tp}]"]
    with pytest.raises(ts.ShapeError) as caught:
        constraints(lambda x: inner(x, x), X)
    check(caught, "TS3004", "dimension 'D' does not unify")


def test_meshes_of_both_are_the_same():
    inner = ts.jit(lambda x: x + 1, mesh=ts.make_mesh({"tp": 2}))
    for mesh in (MESH, None):
        with pytest.raises(ts.ShardingError) as caught:
            constraints(lambda x: inner(x), X, mesh=mesh)
        check(caught, "TS2007", "is for another mesh than the function that calls it", "got: Mesh(tp=2)")
    assert constraints(lambda x: ts.jit(lambda y: y)(x), X) == []


def test_static_arguments_stay_python_values():
    inner = ts.jit(lambda x, how, n=1: x * n if how == "times" else x, static_argnames=("how", "n"),
                   in_shardings={"x": ts.P("dp")})
    assert constraints(lambda x: inner(x, "times", n=3), X) == ["[{dp}, {}]"]


def test_arguments_without_layouts_may_be_anything():
    inner = ts.jit(lambda x, function: function(x), out_shardings=ts.P("dp"))
    assert constraints(lambda x: inner(x, ts.exp), X) == ["[{dp}, {}]"]


@needs_runtime
def test_nested_functions_compute_the_same():
    inner = ts.jit(lambda x, y: (x * 2, y.sum()), in_shardings=(ts.P("dp", "tp"), None),
                   out_shardings=(ts.P(None, "tp"), None))
    outer = ts.jit(lambda x: inner(x, 3.0 + x)[0] + inner(x, x)[1], mesh=MESH)
    np.testing.assert_allclose(outer(X), X * 2 + X.sum())


def test_what_the_inner_function_refuses_it_refuses_inside_another():
    config = EncoderConfig.from_dict({
        "vocab_size": 20, "hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2,
        "intermediate_size": 12, "max_position_embeddings": 4, "type_vocab_size": 2,
        "layer_norm_eps": 1e-12})
    weights = random_weights(config, seed=1)
    mesh = ts.make_mesh({"tp": 2})
    forward = Encoder(config, weights).function(mesh)
    ids = np.zeros((2, 6), np.int32)
    with pytest.raises(ts.ShapeError) as caught:
        ts.jit(lambda *a: forward(*a), mesh=mesh).lower(weights, ids, ids, ids)
    check(caught, "TS3023", "sentences of 6 tokens are longer than the model's positions")
