# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Derivatives in f32, bf16 and f16: those in f64 at the same numbers, within what rounding does to them."""

import numpy as np
import pytest
from derivative_checks import distance, inputs_of, norm, tessera_first
from test_rules import GROUPS

import tessera as ts

# The unit of rounding. A result is off by a few roundings of its own, and by what comes of rounding the
# inputs.
TYPES = {"f32": (ts.f32, 2.0**-24), "bf16": (ts.bf16, 2.0**-8), "f16": (ts.f16, 2.0**-11)}
ROUNDINGS = 8


@pytest.mark.parametrize("group", GROUPS)
def test_derivatives_are_those_of_f64_within_rounding(group):
    cases = {name: one for name, one in GROUPS[group].items() if one.narrow}
    compiled = tessera_first(cases)
    wrong = []
    for kind, (dtype, unit) in TYPES.items():
        inputs = inputs_of(cases).cast(np.dtype(dtype))
        wide = inputs.cast(np.dtype(np.float64))
        got = compiled(inputs.points, inputs.changes, inputs.weights)
        wanted = compiled(wide.points, wide.changes, wide.weights)
        moved = compiled(*(_near(table, unit) for table in (wide.points, wide.changes, wide.weights)))
        for name, table in got.items():
            for mode, arrays in table.items():
                want = wanted[name][mode]
                bound = ROUNDINGS * (unit * norm(want) + distance(moved[name][mode], want))
                off = distance(arrays, want)
                assert all(np.dtype(a.dtype) == np.dtype(dtype) for a in arrays), name
                if not off <= bound:
                    wrong.append(f"{name}, {mode} in {kind}: off by {off:.1e}; at most {bound:.1e}")
    assert not wrong, "\n".join(wrong)


def _near(table: dict, unit: float) -> dict:
    """Arrays, each number moved by one rounding up or down."""
    rng = np.random.default_rng(1)
    return {name: [x * (1 + unit * rng.choice([-1, 1],
                                              x.shape)) if x.dtype == np.float64 else x for x in arrays]
            for name, arrays in table.items()}
