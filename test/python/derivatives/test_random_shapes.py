# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Derivatives of every function on random shapes and broadcasts; test/long/rules.py has more seeds."""

import random
import re

import pytest
from derivative_checks import inputs_of, tessera_values, wrong_derivatives, wrong_in_narrow_types
from random_cases import MAKERS, random_cases
from test_rules import OPS_ELSEWHERE

pytestmark = pytest.mark.usefixtures("jax_in_f64")

# The first one of every function, of the others as many functions by chance.
SEEDS = (1, 2, 3)
FUNCTIONS_OF_OTHERS = 6


def cases_of(group, seed):
    cases = random_cases(group, seed)
    if seed == SEEDS[0]:
        return cases
    chosen = random.Random(seed).sample(list(cases), min(FUNCTIONS_OF_OTHERS, len(cases)))
    return {name: cases[name] for name in chosen}


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("group", MAKERS)
def test_derivatives(group, seed):
    wrong = wrong_derivatives(cases_of(group, seed), seed)
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("group", MAKERS)
def test_derivatives_in_narrow_types(group):
    wrong = wrong_in_narrow_types(cases_of(group, SEEDS[0]), SEEDS[0])
    assert not wrong, "\n".join(wrong)


def test_the_first_seed_meets_every_op(opt):
    listed = opt("module {}", "--test-list-ops=dialect=tessera")
    ops = {line.removeprefix("tessera.") for line in listed.splitlines() if line.startswith("tessera.")}
    met = set()
    for group in MAKERS:
        cases = random_cases(group, SEEDS[0])
        text = tessera_values(cases).lower(inputs_of(cases).points).as_text()
        met |= set(re.findall(r"\btessera\.(\w+)", text))
    assert sorted(ops - met - OPS_ELSEWHERE.keys()) == []
