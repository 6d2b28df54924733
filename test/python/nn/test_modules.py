# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Modules are trees of their weights, with settings as their structure, and have torch's state dicts."""

import numpy as np
import pytest
from conftest import needs_runtime

import tessera as ts

pytestmark = needs_runtime
KEY = ts.random.key(0)
X = np.random.default_rng(0).standard_normal((2, 3, 5)).astype(np.float32)


class Block(ts.nn.Module):
    def __init__(self, size, scale=1.0, **settings):
        self.scale = scale
        self.norm = ts.nn.LayerNorm(size)
        self.mlp = ts.nn.MLP(size, 7, **settings)

    def __call__(self, x):
        return x + self.mlp(self.norm(x)) * self.scale


class Net(ts.nn.Module):
    def __init__(self, layers=3, **settings):
        self.layers = ts.nn.Stack(Block(5, **settings), layers)
        self.heads = [ts.nn.Linear(5, 2), ts.nn.Linear(5, 4, bias=False)]
        self.extra = {"shift": ts.nn.Parameter((5,), np.dtype(np.float32), ts.nn.initializers.zeros)}

    def __call__(self, x):
        x = self.layers(x + self.extra["shift"])
        return [head(x) for head in self.heads]


NAMES = [f"layers.{i}.{name}" for i in range(3) for name in (
    "norm.weight", "norm.bias", "mlp.up_proj.weight", "mlp.up_proj.bias", "mlp.down_proj.weight",
    "mlp.down_proj.bias")] + ["heads.0.weight", "heads.0.bias", "heads.1.weight", "extra.shift"]


def equal(one, other):
    return all(np.array_equal(a, b) for a, b in zip(ts.tree.leaves(one), ts.tree.leaves(other)))


def test_state_dicts_have_the_names_and_shapes_of_torch():
    state = Net().init(KEY).state_dict()
    assert list(state) == NAMES
    assert state["layers.1.mlp.up_proj.weight"].shape == (7, 5) and state["heads.1.weight"].shape == (4, 5)


def test_modules_are_trees_whose_settings_are_their_structure():
    model = Net().init(KEY)
    leaves, structure = ts.tree.flatten(model)
    assert len(leaves) == 10 and equal(ts.tree.unflatten(structure, leaves), model)
    assert ts.tree.flatten(Net().init(ts.random.key(1)))[1] == structure
    assert ts.tree.flatten(Net(scale=0.5).init(KEY))[1] != structure
    doubled = ts.tree.map(lambda w: np.asarray(w) * 2, model)
    assert isinstance(doubled, Net) and isinstance(doubled.heads[1], ts.nn.Linear)
    # What stands for a weight may be anything.
    specs = ts.tree.map(lambda w: None, ts.tree.map(lambda w: ts.P(), model))
    assert ts.tree.flatten(specs)[1] != structure and vars(specs.heads[0])["weight"] is None


def test_compiled_functions_take_and_give_modules_and_are_compiled_for_their_settings():
    traces = []

    @ts.jit
    def step(model, x):
        traces.append(1)
        grads = ts.grad(lambda m: sum((y**2).sum() for y in m(x)))(model)
        return ts.tree.map(lambda w, g: w - 0.1 * g, model, grads), grads

    model = Net().init(KEY)
    after, grads = step(model, X)
    assert isinstance(after, Net) and isinstance(grads, Net)
    assert all(np.any(np.asarray(g)) for g in ts.tree.leaves(grads))
    step(after, X)
    assert len(traces) == 1
    changed, _ = step(Net(scale=0.5).init(KEY), X)
    assert len(traces) == 2 and not equal(changed, after)


def test_a_stack_computes_what_its_layers_do_one_after_the_other():
    model = Net().init(KEY)
    x = X + np.asarray(model.extra["shift"])
    for i in range(3):
        x = model.layers[i](x)
    np.testing.assert_allclose(model(X)[0], model.heads[0](x), rtol=1e-5, atol=1e-6)
    with pytest.raises(IndexError, match="layer 3 of a stack of 3"):
        model.layers[3]
    policies = [ts.jit(lambda m, x: m(x))(ts.nn.Stack(Block(5), 3, remat=policy).init(KEY), X)
                for policy in (None, "nothing", "dots")]
    np.testing.assert_array_equal(policies[0], policies[1])
    np.testing.assert_array_equal(policies[0], policies[2])


def test_first_elements_depend_on_key_and_path_alone():
    one = Net().init(KEY)
    mesh = ts.make_mesh({"dp": 2, "tp": 2})
    split = Net().init(KEY, mesh=mesh)
    assert equal(one, split) and equal(one, Net().init(KEY))
    assert split.layers.layer.mlp.up_proj.weight.sharding == ts.NamedSharding(mesh, ts.P(None, "tp"))
    state = one.state_dict()
    assert not np.array_equal(state["layers.0.mlp.up_proj.weight"], state["layers.1.mlp.up_proj.weight"])
    deeper = Net(layers=4).init(KEY).state_dict()
    assert np.array_equal(deeper["layers.2.mlp.up_proj.weight"], state["layers.2.mlp.up_proj.weight"])
    assert not equal(one.heads, Net().init(ts.random.key(1)).heads)
    kept = Net()
    kept.heads[0].weight = np.ones((2, 5), np.float32)
    assert np.array_equal(kept.init(KEY).heads[0].weight, np.ones((2, 5)))


def test_state_dicts_are_loaded_into_layouts():
    model = Net().init(KEY)
    state = {name: np.asarray(w) for name, w in model.state_dict().items()}
    mesh = ts.make_mesh({"tp": 2})
    loaded = Net()
    assert loaded.load_state_dict(state, mesh=mesh) == ([], []) and equal(model, loaded)
    assert loaded.layers.layer.mlp.down_proj.weight.sharding.spec == ts.P(None, None, "tp")
    changed = {name: w + 1 for name, w in state.items()}
    loaded.load_state_dict(changed)
    assert loaded.layers.layer.mlp.down_proj.weight.sharding.mesh == mesh
    np.testing.assert_array_equal(loaded.state_dict()["layers.2.norm.bias"], changed["layers.2.norm.bias"])
    part = {"layers.1.norm.bias": np.full(5, 7, np.float32), "other": np.zeros(3, np.float32)}
    missing, unexpected = model.load_state_dict(part, strict=False)
    assert missing == [name for name in NAMES if name not in part] and unexpected == ["other"]
    np.testing.assert_array_equal(model.layers.layer.norm.bias, [[0] * 5, [7] * 5, [0] * 5])


def test_state_dicts_that_do_not_fit_are_refused():
    state = {name: np.asarray(w) for name, w in Net().init(KEY).state_dict().items()}
    wrong = dict(state)
    del wrong["heads.0.bias"]
    wrong["heads.0.biass"] = state["heads.0.bias"]
    wrong["layers.1.norm.bias"] = np.zeros(4, np.float32)
    with pytest.raises(ts.CheckpointError, match="TS6006") as caught:
        Net().load_state_dict(wrong)
    for part in ("3 problems", "missing 'heads.0.bias'", "heads.0.biass", "'layers.1.norm.bias' has shape"):
        assert part in str(caught.value)
    with pytest.raises(ts.CheckpointError, match="TS6007.*\n.*expected: f32"):
        Net().load_state_dict({**state, "heads.0.bias": np.zeros(2)})


def test_a_module_is_called_outside_of_a_trace():
    model = Net().init(KEY)
    for got, wanted in zip(model(X), ts.jit(lambda m, x: m(x))(model, X)):
        np.testing.assert_array_equal(got, wanted)


def test_weights_without_elements_are_an_error():
    with pytest.raises(ts.TraceError, match="TS1032.*'layers.layer.norm.weight'") as caught:
        Net()(X)
    assert "model.init(ts.random.key(0))" in str(caught.value) and "test_modules.py" in str(caught.value)
    with pytest.raises(ts.TraceError, match="'m.layers.layer.norm.weight' is a Parameter") as caught:
        ts.jit(lambda m, x: m(x))(Net(), X)
    assert "model.init" in str(caught.value)


def test_functions_are_lowered_for_modules_without_elements():
    mesh = ts.make_mesh({"tp": 2})
    lowered = ts.jit(lambda m, x: m(x), mesh=mesh).lower(Net().abstract(mesh), X)
    assert [c["kind"] for c in lowered.collectives()] == ["all_reduce"]
    assert "tessera.scan" in ts.jit(lambda m, x: m(x)).lower(Net().init(KEY).abstract(), X).as_text()


@pytest.mark.parametrize("setting", [[], {"a": 1}, {1, 2}], ids=str)
def test_settings_must_tell_modules_apart(setting):
    class Odd(ts.nn.Module):
        def __init__(self):
            self.setting = setting
            self.weight = np.ones(3, np.float32)

    with pytest.raises(ts.TraceError, match="TS1049.*Odd.setting"):
        ts.tree.flatten(Odd())


def test_a_module_says_what_it_is():
    text = repr(Net())
    for part in ("layers: Stack(count=3", "scale=1.0", "weight: Parameter(f32[3, 7, 5], P(None, 'tp', None))",
                 "1: Linear(", "extra: {'shift': Parameter(f32[5])}"):
        assert part in text
    assert "weight: f32[3, 5]" in repr(Net().init(KEY))


def test_a_module_keeps_the_layouts_of_its_parameters():
    class Weights(ts.nn.Module):
        def __init__(self, twice):
            for _ in range(1 + twice):
                self.one = ts.nn.Parameter((4, 6), ts.f32, ts.nn.initializers.ones, ts.P(None, "tp"))
            vector = ts.nn.Parameter((6,), ts.f32, ts.nn.initializers.ones, ts.P("tp"))
            self.more = [vector, ts.nn.LayerNorm(4)]

    assert list(Weights(False).specs()) == [ts.P(None, "tp"), ts.P("tp"), ts.P(), ts.P()]
    once, twice = (ts.tree.flatten(Weights(twice).init(KEY))[1] for twice in (False, True))
    assert once == twice


@pytest.mark.parametrize("used", [lambda w: w, lambda w: w.astype(ts.bf16).astype(ts.f32),
                                  lambda w: w.reshape(16, 2, 8).reshape(16, 16), lambda w: w.T.T],
                         ids=["plain", "converted", "reshaped", "transposed"])
def test_gathered_weights_are_not_kept_in_another_form(used):
    """A backward pass of ZeRO's third stage holds one layer's weights, or two."""
    size, layers, parallel = 16, 64, ts.nn.Parallel(zero=3)

    class Layer(ts.nn.Module):
        def __init__(self):
            self.weight = ts.nn.Parameter((size, size), ts.f32, ts.nn.initializers.ones)

        def __call__(self, x):
            return ts.tanh(x @ used(self.weight))

    mesh = ts.make_mesh({"dp": 4})
    model = ts.nn.fully_shard(ts.nn.Stack(Layer(), layers, parallel=parallel), parallel).abstract(mesh)
    program = ts.jit(ts.grad(lambda model, x: model(x).sum()), mesh=mesh, in_shardings=(None, ts.P("dp")),
                     out_shardings=ts.tree.map(lambda leaf: leaf.sharding.spec, model))
    memory = program.lower(model, ts.ShapeDtypeStruct((4, size), ts.f32)).memory()["activations"]
    assert memory < 4 * size * size * layers / 4


def sharing(kind):
    class Shared(ts.nn.Module):
        def __init__(self):
            if kind == "a parameter":
                self.first, self.second = ts.nn.Embedding(4, 3), ts.nn.Linear(3, 4, bias=False)
                self.second.weight = self.first.weight
            elif kind == "a module":
                self.first = self.second = ts.nn.Linear(3, 3, bias=False)
            elif kind == "in a list":
                self.first = [ts.nn.Linear(3, 3)] * 2
            elif kind == "in a stack":
                self.first = ts.nn.Stack(sharing("a module"), 2)
            else:
                self.first = ts.nn.fully_shard(sharing("a module"), ts.nn.Parallel(zero=3))

    return Shared()


@pytest.mark.parametrize("use", [
    lambda m: m.init(KEY), lambda m: m.abstract(), lambda m: m.load_state_dict({})],
    ids=["init", "abstract", "load"])
@pytest.mark.parametrize("kind, one, other", [
    ("a parameter", "first.weight", "second.weight"), ("a module", "first.weight", "second.weight"),
    ("in a list", "first.0.weight", "first.1.weight"), ("in a stack", "first.weight", "second.weight"),
    ("by stage 3", "first.weight", "second.weight")])
def test_a_weight_in_two_places_is_an_error(kind, one, other, use):
    with pytest.raises(ts.TraceError, match=f"TS1052.*'{one}' and '{other}' of Shared") as caught:
        use(sharing(kind))
    assert "embedding.attend(x)" in str(caught.value)


def test_one_module_used_twice_shares_its_weight():
    class Tied(ts.nn.Module):
        def __init__(self):
            self.table = ts.nn.Embedding(5, 3)

        def __call__(self, ids):
            return self.table.attend(self.table(ids))

    model = Tied().init(KEY)
    table = np.asarray(model.table.weight)
    np.testing.assert_allclose(model(np.array([[1, 4]])), table[[[1, 4]]] @ table.T, rtol=1e-5, atol=1e-6)


def test_state_dicts_of_torch_are_loaded():
    torch = pytest.importorskip("torch")
    for dtype, kind in ((torch.float32, ts.f32), (torch.bfloat16, ts.bf16), (torch.float64, ts.f64)):
        given = torch.nn.Linear(3, 2, dtype=dtype)
        made = ts.nn.Linear(3, 2, dtype=kind)
        assert made.load_state_dict(given.state_dict()) == ([], [])
        np.testing.assert_array_equal(np.asarray(made.weight).astype(np.float64),
                                      given.weight.detach().double().numpy())
        made.load_state_dict(dict(given.named_parameters()))  # With gradients.
    stacked = Net()
    state = {name: torch.from_numpy(np.array(w)) for name, w in Net().init(KEY).state_dict().items()}
    stacked.load_state_dict(state)
    assert equal(stacked, Net().init(KEY))
    with pytest.raises(ts.CheckpointError, match="TS6007.*'weight' is f64.*\n.*expected: f32"):
        ts.nn.Linear(3, 2).load_state_dict(torch.nn.Linear(3, 2, dtype=torch.float64).state_dict())
    narrow = {"weight": torch.zeros(2, 3).to(torch.float8_e4m3fn)}
    with pytest.raises(ts.CheckpointError, match="TS6007.*'weight' of the state dict"):
        ts.nn.Linear(3, 2, bias=False).load_state_dict(narrow)


def test_rows_that_an_embedding_does_not_have_are_an_error_where_they_are_known():
    table = ts.nn.Embedding(5, 3).init(KEY)
    for ids in (np.array([1, 5]), np.array([-1]), [1, 5]):
        with pytest.raises(ts.ShapeError, match="TS3012.*index (5|-1) is out of range .* of size 5"):
            table(ids)
    assert not np.asarray(ts.jit(lambda t, ids: t(ids))(table, np.array([5]))).any()

    class Hashed(ts.nn.Embedding):
        def __call__(self, ids):
            return super().__call__(ids % 5)

    np.testing.assert_array_equal(Hashed(5, 3).init(KEY)(np.array([7])), table(np.array([2])))
