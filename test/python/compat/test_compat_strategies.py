# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""ts.compat.distribute, distributed, mesh and function."""

import numpy as np
import pytest

import tessera as ts

CONFIG = {"hidden_size": 8, "intermediate_size": 12, "num_hidden_layers": 2, "num_attention_heads": 2,
          "vocab_size": 11}
TOKENS = np.arange(24, dtype=np.int32).reshape(4, 6) % 11


def kinds(lowered):
    return [c["kind"] for c in lowered.collectives()]


@pytest.mark.parametrize("strategy, expected", [
    ("tensor_parallel", {"all_reduce"}),
    ("sequence_parallel", {"all_gather", "reduce_scatter"})])
def test_a_strategy_of_weights_is_a_policy_of_the_model(strategy, expected):
    mesh = ts.compat.mesh(devices=2, axes={"tp": 2})
    chosen = ts.compat.distribute(strategy, mesh=mesh)
    model = ts.models.Llama(CONFIG, parallel=chosen.parallel).init(ts.random.key(0), mesh=mesh)
    whole = ts.models.Llama(CONFIG).init(ts.random.key(0))

    @chosen
    def forward(model, tokens):
        return model(tokens)

    table = forward.lower(model, TOKENS).collectives()
    assert {c["kind"] for c in table if c["count"] == 2} == expected
    np.testing.assert_allclose(np.asarray(forward(model, TOKENS)), np.asarray(whole(TOKENS)), atol=2e-6)


def test_data_parallelism_splits_the_named_batch():
    mesh = ts.make_mesh({"data": 2})

    @ts.compat.distribute(strategy="data_parallel", mesh_axes=["data"], mesh=mesh, batch="x")
    def loss(w, x):
        return ((x @ w) ** 2).sum()

    w, x = np.arange(6, dtype=np.float32).reshape(3, 2), np.ones((4, 3), np.float32)
    assert [(c["kind"], c["shape"]) for c in loss.lower(w, x).collectives()] == [("all_reduce", [])]
    np.testing.assert_allclose(float(loss(w, x)), ((x @ w) ** 2).sum())


def test_zero_asks_for_a_state_that_is_split():
    mesh = ts.make_mesh({"dp": 2})
    strategy = ts.compat.distribute("zero_redundancy_optimizer", mesh=mesh, batch="x")
    assert strategy.parallel == ts.nn.Parallel(zero=1)
    model = ts.nn.Linear(4, 6).init(ts.random.key(0), mesh=mesh)
    x = np.ones((2, 4), np.float32)

    def step_with(optimizer):
        @strategy
        def step(model, state, x):
            gradients = ts.grad(lambda model: (model(x) ** 2).mean())(model)
            return optimizer.update(gradients, state, model)

        return step(model, optimizer.init(model), x)

    with pytest.raises(ts.ConfigError, match="nothing that step is given is split over 'dp'"):
        step_with(ts.optim.AdamW())
    _, state = step_with(ts.optim.AdamW(zero=strategy.axis))
    assert "dp" in str(state["exp_avg"].weight.sharding.spec)


def test_fully_sharded_models_have_split_weights():
    mesh = ts.make_mesh({"dp": 2})
    strategy = ts.compat.distribute("fully_sharded", mesh=mesh, batch="tokens")
    model = ts.models.Llama(CONFIG, parallel=strategy.parallel).init(ts.random.key(0), mesh=mesh)
    run = strategy(lambda model, tokens: model(tokens))
    assert "all_gather" in kinds(run.lower(model, TOKENS))


@pytest.mark.parametrize("make, words", [
    (lambda: ts.compat.distribute("tensor_paralel"), ["'tensor_paralel'", "valid: data_parallel, tensor_",
                                                      "did you mean 'tensor_parallel'?"]),
    (lambda: ts.compat.distribute("fsdp"), ["did you mean 'fully_sharded'?"]),
    (lambda: ts.compat.distribute("data_parallel", mesh_axes=["dp", "tp"]), ["one axis"]),
    (lambda: ts.compat.distribute("data_parallel")(lambda w, x: x), ["no batch", "valid: w, x"]),
    (lambda: ts.compat.distribute("data_parallel", batch="y")(lambda w, x: x), ["names 'y'", "valid: w, x"]),
    (lambda: ts.compat.distribute("tensor_parallel", mesh=ts.make_mesh({"tp": 2}))(lambda x: x)(np.ones(2)),
     ["nothing", "split over 'tp'", "parallel=strategy.parallel"]),
    (lambda: ts.compat.distribute("tensor_parallel")(lambda x: x)(np.ones(2)), ["has no mesh"]),
    (lambda: ts.compat.distributed(lambda x: x)(np.ones(2)), ["no mesh", "with mesh:"]),
])
def test_what_would_do_nothing_is_an_error(make, words):
    with pytest.raises(ts.ConfigError) as caught:
        make()
    assert all(word in str(caught.value) for word in words), str(caught.value)


def test_a_strategy_decorates_functions():
    with pytest.raises(ts.TraceError, match="not a function"):
        ts.compat.distribute("data_parallel", batch="x")(3)


def test_a_sequence_strategy_asks_for_a_model_that_splits_sequences():
    mesh = ts.make_mesh({"tp": 2})
    model = ts.models.Llama(CONFIG).init(ts.random.key(0), mesh=mesh)
    run = ts.compat.distribute("sequence_parallel", mesh=mesh)(lambda model, tokens: model(tokens))
    with pytest.raises(ts.ConfigError, match="splits sequences"):
        run(model, TOKENS)


def test_layouts_of_plain_arrays_are_given():
    mesh = ts.make_mesh({"tp": 2})

    @ts.compat.distribute("tensor_parallel", mesh=mesh, in_shardings={"w": ts.P(None, "tp")})
    def product(x, w):
        return x @ w

    x, w = np.ones((2, 3), np.float32), np.ones((3, 4), np.float32)
    assert product(x, w).sharding.spec == ts.P(None, "tp")

    @ts.compat.distribute("tensor_parallel", mesh=mesh)
    def annotated(x, w: ts.MeshTensor["D", "H", ts.P(None, "tp")]):
        return x @ w

    assert annotated(x, w).sharding.spec == ts.P(None, "tp")


def test_distributed_runs_on_a_mesh():
    @ts.compat.distributed
    def double(x):
        return 2 * x

    with ts.make_mesh({"tp": 2}) as mesh:
        result = double(np.ones(4, np.float32))
    assert result.sharding.mesh == mesh and np.asarray(result).tolist() == [2] * 4

    @ts.compat.distributed(strategy="data_parallel", mesh=ts.make_mesh({"dp": 2}), batch="x")
    def total(x):
        return x.sum()

    assert kinds(total.lower(np.ones(4, np.float32))) == ["all_reduce"]


def test_function_is_jit_and_becomes_part_of_its_caller():
    assert ts.compat.function is ts.jit

    @ts.compat.function
    def inner(x):
        return x + 1

    assert float(ts.jit(lambda x: inner(x) * 2)(np.float32(3))) == 8


@pytest.mark.parametrize("arguments, words", [
    ({"axes": {"tp": 2}, "devices": 3}, ["2 devices", "given 3"]),
    ({"axes": {"tp": 2}, "devices": [1, 0]}, ["[1, 0]", "expected: [0, 1]"]),
    ({"devices": 2}, ["no axes", "axes={'dp': 2, 'tp': 4}"])])
def test_a_mesh_that_does_not_fit_its_devices_is_an_error(arguments, words):
    with pytest.raises(ts.ShardingError) as caught:
        ts.compat.mesh(**arguments)
    assert all(word in str(caught.value) for word in words), str(caught.value)
    assert ts.compat.mesh([0, 1, 2], {"tp": 3}).shape == {"tp": 3}
