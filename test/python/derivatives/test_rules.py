# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Derivatives of every function of the language, in f64, against JAX's and finite differences."""

import inspect
import re

import derivative_cases
import numpy as np
import pytest
import structure_cases
from derivative_checks import floats_of, inputs_of, tessera_values, wrong_derivatives

import tessera as ts
from elementwise_table import TABLE

pytestmark = pytest.mark.usefixtures("jax_in_f64")
GROUPS = {"elementwise": derivative_cases.ELEMENTWISE, "formulas": derivative_cases.FORMULAS,
          "neural": derivative_cases.NEURAL, **structure_cases.GROUPS}
# What has no derivative: results that are no floats, or arguments that are none.
NO_DERIVATIVE = set("""
    all allclose any argmin array_equal can_cast count_nonzero equal greater greater_equal isclose isdtype
    isfinite isinf less less_equal logical_and logical_not logical_or logical_xor not_equal result_type
    bitwise_not eye full iota linspace arange tri zeros ones check_heads
    block_until_ready device_count device_get device_put eval_shape from_dlpack load_artefact make_mesh
    asarray finfo iinfo isin isneginf isposinf heaviside rint
""".split())
# What makes derivatives: test_modes.py.
MODES = {"grad", "hessian", "jacfwd", "jacrev", "jvp", "linearize", "value_and_grad", "vjp", "vmap"}
# What concerns layouts of modules: test/python/nn and test/python/train.
LAYOUTS = {"apply_layer", "fully_shard"}
# Ops of the dialect that are in none of the programs below.
OPS_ELSEWHERE = {
    **dict.fromkeys(("and", "or", "xor", "not", "shift_left", "shift_right"), "on integers and booleans"),
    "rng": "makes values of keys", "nextafter": "JAX has no derivative of it; test_edges.py",
    "debug_print": "no results", "debug_check": "no results", "reshard": "made by passes",
    "yield": "ends a region", "call": "test_modes.py",
    **dict.fromkeys(("custom_tangent", "attention_logsumexp", "attention_gradient", "attention_tangent"),
                    "made by differentiation"),
    "norm_tangent": "made by differentiation; what norms have second derivatives by",
}


def _functions() -> dict:
    """The public functions, by name."""
    found = {name: getattr(module, name) for module in (ts, ts.nn) for name in module.__all__}
    return {name: f for name, f in found.items() if callable(f) and not isinstance(f, type)}


@pytest.mark.quick
def test_every_function_has_a_case():
    words = {row.python for row in TABLE.values()} | NO_DERIVATIVE | MODES | LAYOUTS
    for module in (derivative_cases, structure_cases):
        words |= set(re.findall(r"\w+", inspect.getsource(module)))
    functions = _functions()
    known = {id(f) for name, f in functions.items() if name in words}
    assert sorted(name for name, f in functions.items() if id(f) not in known) == []


def test_every_op_of_the_dialect_is_in_a_case(opt):
    listed = opt("module {}", "--test-list-ops=dialect=tessera")
    ops = {line.removeprefix("tessera.") for line in listed.splitlines() if line.startswith("tessera.")}
    met = set()
    for cases in GROUPS.values():
        text = tessera_values(cases).lower(inputs_of(cases).points).as_text()
        met |= set(re.findall(r"\btessera\.(\w+)", text))
    assert sorted(ops - met - OPS_ELSEWHERE.keys()) == []


@pytest.mark.parametrize("group", GROUPS)
def test_operands_from_outside(group):
    """What is computed in a function that is traced by itself may use values from around it."""
    cases = GROUPS[group]

    def program(points: dict, z: ts.Array) -> dict:
        return ts.checkpoint(lambda z: (z, {name: floats_of(one.run(ts, *points[name]))
                                            for name, one in cases.items()}))(z)

    assert "tessera.call" in ts.jit(program).lower(inputs_of(cases).points, np.ones(2)).as_text()


@pytest.mark.parametrize("group", GROUPS)
def test_derivatives(group):
    wrong = wrong_derivatives(GROUPS[group])
    assert not wrong, "\n".join(wrong)
