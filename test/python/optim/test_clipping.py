# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""ts.optim.clip_by_global_norm is torch.nn.utils.clip_grad_norm_, on one device and on meshes."""

import numpy as np
import pytest
from conftest import needs_runtime
from optim_cases import draw, off

import tessera as ts

torch = pytest.importorskip("torch", reason="PyTorch is the oracle")
pytestmark = needs_runtime


def clipped_by_torch(grads, max_norm):
    params = [torch.zeros(np.shape(g), dtype=torch.from_numpy(np.asarray(g)).dtype, requires_grad=True)
              for g in ts.tree.leaves(grads)]
    for p, g in zip(params, ts.tree.leaves(grads)):
        p.grad = torch.tensor(g)
    norm = torch.nn.utils.clip_grad_norm_(params, max_norm)
    return [p.grad.numpy() for p in params], norm.item()


@pytest.mark.parametrize("dtype, tolerance", [(np.float64, 1e-15), (np.float32, 3e-7)], ids=["f64", "f32"])
@pytest.mark.parametrize("max_norm", [0.5, 1e3, 0.0, np.inf])
def test_gradients_and_norm_are_those_of_pytorch(dtype, tolerance, max_norm):
    grads = draw(1, dtype)
    got, norm = ts.jit(lambda g: ts.optim.clip_by_global_norm(g, max_norm))(grads)
    wanted, length = clipped_by_torch(grads, max_norm)
    assert norm.dtype == dtype and abs(float(norm) / length - 1) <= tolerance
    for a, b in zip(ts.tree.leaves(got), wanted, strict=True):
        assert a.dtype == dtype
        np.testing.assert_allclose(np.asarray(a), b, rtol=tolerance)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_seen_as_by_pytorch(bad):
    grads = draw(1, np.float32)
    grads["layers"][1]["w"][2, 3] = bad
    got, norm = ts.jit(lambda g: ts.optim.clip_by_global_norm(g, 0.5))(grads)
    wanted, length = clipped_by_torch(grads, 0.5)
    np.testing.assert_equal(float(norm), length)
    for a, b in zip(ts.tree.leaves(got), wanted, strict=True):
        np.testing.assert_array_equal(np.asarray(a), b)


@pytest.mark.parametrize("dtype", [ts.f16, ts.bf16])
def test_squares_of_16_bit_gradients_are_added_in_f32(dtype):
    # In f16 a square of 300 overflows; in bf16 a sum of 4096 ones stays at 256.
    grads = {"a": np.full((64, 64), 300, dtype), "b": np.full(3, 300, dtype)}
    got, norm = ts.jit(lambda g: ts.optim.clip_by_global_norm(g, 1.0))(grads)
    assert norm.dtype == np.float32
    wanted = 300 * np.sqrt(4099)
    np.testing.assert_allclose(float(norm), wanted, rtol=1e-6)
    assert got["a"].dtype == dtype
    np.testing.assert_array_equal(np.asarray(got["a"]), np.full((64, 64), 300 / wanted).astype(dtype))


def test_the_type_of_the_norm_is_the_widest():
    grads = {"a": np.ones((2, 3), ts.bf16), "b": np.full(3, 1 + 2.0**-40), "c": np.ones(5, np.float32)}
    got, norm = ts.jit(lambda g: ts.optim.clip_by_global_norm(g, 1.0))(grads)
    length = np.sqrt(11 + 3 * (1 + 2.0**-40)**2)
    assert norm.dtype == np.float64 and abs(float(norm) - length) <= 1e-15 * length
    assert [g.dtype for g in ts.tree.leaves(got)] == [ts.bf16, ts.f64, ts.f32]
    assert abs(float(got["b"][0]) * (length + 1e-6) / (1 + 2.0**-40) - 1) < 1e-15


def test_the_bound_may_be_traced_and_calls_outside_of_a_trace_work():
    grads = draw(1)
    wanted, length = clipped_by_torch(grads, 0.5)
    got, _ = ts.jit(ts.optim.clip_by_global_norm)(grads, np.float32(0.5))
    assert off(got, wanted) <= 1e-15
    got, norm = ts.optim.clip_by_global_norm(grads, 0.5)
    assert off(got, wanted) <= 1e-15 and abs(float(norm) - length) <= 1e-14
    assert float(ts.optim.global_norm(grads)) == float(norm)


SHARDED = {"column": (6, 4), "row": (4, 6), "uneven": (5, 3), "both": (4, 8), "whole": (2, 3), "vector": (7,)}
MESHES = {
    "tp": ({"tp": 4}, {"column": ts.P(None, "tp"), "row": ts.P("tp"), "uneven": ts.P("tp"), "both": ts.P(),
                       "whole": ts.P(), "vector": ts.P("tp")}),
    "dp x tp": ({"dp": 2, "tp": 2}, {"column": ts.P(None, "tp"), "row": ts.P("tp"), "uneven": ts.P("tp"),
                                     "both": ts.P("dp", "tp"), "whole": ts.P(), "vector": ts.P("dp")}),
}


@pytest.mark.parametrize("axes, specs", MESHES.values(), ids=MESHES)
def test_every_element_counts_once_on_a_mesh(axes, specs):
    mesh = ts.make_mesh(axes)
    grads = draw(5, shapes=SHARDED)
    step = ts.jit(lambda grads: ts.optim.clip_by_global_norm(grads, 0.5), mesh=mesh, in_shardings=[specs])
    got, norm = step(grads)
    wanted, length = clipped_by_torch(grads, 0.5)
    assert abs(float(norm) / length - 1) <= 1e-14 and off([got[n] for n in sorted(got)], wanted) <= 1e-14
    for name, leaf in got.items():
        assert leaf.sharding.spec == specs[name] or name in ("whole", "both")
    # Numbers alone are exchanged, one for the terms along each set of axes.
    moved = step.lower(grads).collectives()
    assert {row["kind"] for row in moved} == {"all_reduce"} and {row["bytes"] for row in moved} <= {8, 12, 16}
    assert len(moved) <= 3, str(moved)


def test_a_bound_below_zero_and_a_tree_without_floats_are_refused():
    with pytest.raises(ts.ConfigError, match="TS4013"):
        ts.optim.clip_by_global_norm(draw(1), -1.0)
    with pytest.raises(ts.TraceError, match="TS1050.*'layers.0' of gradients is of type i32"):
        ts.optim.clip_by_global_norm({"layers": [np.ones(3, np.int32)]}, 1.0)
    with pytest.raises(ts.TraceError, match="TS1050.*no leaves"):
        ts.optim.clip_by_global_norm({}, 1.0)
