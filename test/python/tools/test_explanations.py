# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Every collective of random programs says why it is there and what else would have done."""

import re
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "fuzz"))
from generator import generate  # noqa: E402

COLLECTIVE = re.compile(r"dist\.(?:all_reduce|all_gather|reduce_scatter|all_to_all|permute)\b.*")
WHY = re.compile(r'rule = "((?:[^"\\]|\\.)*)", origins = \[(.*?)\], bytes = (\d+), estimatedNs = (\d+), '
                 r"alternatives = \[(.*?)\]>")
STAGES = ["--tessera-tessera-to-layouts", "--tessera-layouts-to-reshards", "--tessera-reshards-to-local"]


@pytest.mark.parametrize("seed", range(1, 13))
def test_no_explanation_is_empty(opt, seed):
    head, programs = generate(seed, 16, "f32", False)
    text = opt(head + "\n".join(program.text() for program in programs), *STAGES)
    for line in COLLECTIVE.findall(text):
        why = WHY.search(line)
        assert why, line
        rule, origins, _, _, alternatives = why.groups()
        assert rule and origins and alternatives, line
