# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Names that do not exist: what is suggested, and what is not."""

import inspect

import numpy as np
import pytest
from refusals import check

import tessera as ts
from tessera._src.core.errors import closest

X = np.ones((2, 3), np.float32)


@pytest.mark.parametrize("module, name, hint", [
    (ts, "jacobian", "use ts.jacrev"), (ts, "cat", "use ts.concatenate"),
    (ts, "vectorize", "use ts.vmap"), (ts, "shard_map", "ts.jit(f, mesh=..."), (ts, "elu", "use ts.nn.elu"),
    (ts, "normal", "use ts.random.normal"), (ts, "tree_map", "use ts.tree.map"),
    (ts, "concatnate", "did you mean ts.concatenate?"), (ts, "lax", "its functions are in ts itself"),
    (ts, "Array_", "did you mean ts.Array?"), (ts.nn, "geul", "did you mean ts.nn.gelu?"),
    (ts.nn, "concatenate", "use ts.concatenate"), (ts.random, "norml", "did you mean ts.random.normal?"),
    (ts.tree, "flaten", "did you mean ts.tree.flatten?"),
    (ts.models, "Encodr", "did you mean ts.models.Encoder?"),
    (ts, "optax", "ts.tree.map(lambda w, g: w - rate * g"), (ts.nn, "AdamW", "use ts.optim.AdamW"),
    (ts.optim, "Adam", "AdamW (with weight_decay=0, Adam)"),
    (ts.optim, "adamw", "did you mean ts.optim.AdamW?"),
    (ts, "clip_grad_norm_", "use ts.optim.clip_by_global_norm"),
    (ts, "uint8", "integers are ts.i32 and ts.i64"), (ts, "unsqueeze", "use ts.expand_dims"),
])
def test_a_missing_name_of_a_module_says_where_to_look(module, name, hint):
    with pytest.raises(AttributeError) as caught:
        getattr(module, name)
    check(caught, "TS1027", f"has no '{name}'", hint)
    assert not hasattr(module, name)


def test_a_missing_name_like_nothing_has_no_suggestion():
    with pytest.raises(ts.TraceError) as caught:
        ts.quaternion_slerp
    assert "did you mean" not in str(caught.value)
    assert getattr(ts, "__wrapped__", None) is None
    with pytest.raises(ImportError):
        exec("from tessera import nothing_like_this")


@pytest.mark.parametrize("name, valid, wanted", [
    ("gpu", ["cpu", "cuda"], "cuda"), ("cdua", ["cpu", "cuda"], "cuda"), ("tpu", ["x", "emulated"], None),
    ("hlo", ["local", "plan"], None), ("real", ["relu", "round"], None), ("reul", ["relu"], "relu"),
    ("pt", ["dp", "tp"], "tp"), ("params.w_pu", ["params.w_up", "params.w_down"], "params.w_up"),
    ("encoder.layer.11.query", [f"encoder.layer.{i}.query_" for i in range(12)], "encoder.layer.11.query_"),
    ("TANH", ["tanh", "tan"], "tanh"), ("", ["a"], None), ("zz", [], None),
])
def test_suggestions_are_typing_errors_away(name, valid, wanted):
    assert closest(name, valid, {"gpu": "cuda"}) == wanted


@pytest.mark.parametrize("function, hint", [
    (lambda: ts.jit(lambda x: x, device="gpu"), "did you mean 'cuda'?"),
    (lambda: ts.make_mesh({"a": 2}, device="GPU"), "did you mean 'cuda'?"),
    (lambda: ts.jit(lambda x: x, target="gpu"), "did you mean 'cuda:sm_90a'?"),
    (lambda: ts.jit(lambda x: x).lower(X).as_text("hlo"), "did you mean 'tessera'?"),
    (lambda: ts.jit(lambda x: x).lower(X).as_text("spmd"), "did you mean 'local'?"),
    (lambda: ts.jit(lambda x: x.real).lower(X), "there are no complex element types"),
    (lambda: ts.jit(lambda p: p["w_up"], in_shardings={"p": {"w_pu": ts.P("tp")}}).lower({"w_up": X}),
     "did you mean 'w_up'?"),
    (lambda: ts.jit(lambda p: p, out_shardings={"w_pu": ts.P("tp")}).lower({"w_up": X}),
     "did you mean 'w_up'?"),
])
def test_what_others_call_it_is_found(function, hint):
    with pytest.raises(ts.TesseraError, match=hint.replace("?", r"\?")):
        function()


@pytest.mark.parametrize("function, fragments", [
    (lambda x: ts.softmax(x, dim=-1), ["ts.softmax has no parameter 'dim'", "did you mean 'axis'?"]),
    (lambda x: ts.sum(x, keepdim=True), ["ts.sum has no parameter 'keepdim'", "did you mean 'keepdims'?"]),
    (lambda x: ts.nn.layer_norm(x, scael=1), ["ts.layer_norm has no parameter 'scael'"]),
    (lambda x: ts.random.uniform(ts.random.key(0), min_val=1), ["did you mean 'minval'?"]),
])
def test_a_parameter_that_a_function_lacks_is_named_at_the_call(function, fragments):
    with pytest.raises(ts.TraceError) as caught:
        ts.jit(function).lower(X)
    check(caught, "TS1025", *fragments)
    assert caught.value.location.line == inspect.getsourcelines(function)[1]


def test_parameters_that_users_functions_lack_are_pythons_matter():
    def softmax(x):
        return x

    with pytest.raises(TypeError) as caught:
        ts.jit(lambda x: softmax(x, axis=1)).lower(X)
    assert not isinstance(caught.value, ts.TesseraError)
