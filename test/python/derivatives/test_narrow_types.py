# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Derivatives in types of 16 and 32 bits: those of f64 at the same numbers, within rounding."""

import pytest
from derivative_checks import wrong_in_narrow_types
from test_rules import GROUPS

pytestmark = pytest.mark.usefixtures("jax_in_f64")


@pytest.mark.parametrize("group", GROUPS)
def test_derivatives_are_those_of_f64_within_rounding(group):
    wrong = wrong_in_narrow_types(GROUPS[group])
    assert not wrong, "\n".join(wrong)
