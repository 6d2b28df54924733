# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Training in eight layouts is training on one device, and is repeatable to the bit.

The long tier compares 200 steps (test/long/layouts.py), this some.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import needs_runtime
from training_layouts import LAYOUTS, Layout, check_curves, digest_of

pytestmark = needs_runtime
SCRIPT = """
import sys
from training_layouts import Layout, digest_of
print(digest_of(Layout(dp=2, tp=2, sequence=True, zero=2), 5))
"""


@pytest.mark.parametrize("dtype, layouts", [("f64", LAYOUTS[3::2] + LAYOUTS[4:5]), ("f32", LAYOUTS[6:7])],
                         ids=["f64", "f32"])
def test_layouts_give_the_losses_and_norms_of_one_device(dtype, layouts):
    check_curves(dtype, 15, layouts)


def test_runs_are_equal_to_the_bit_whatever_the_number_of_threads():
    found = {digest_of(Layout(dp=2, tp=2, sequence=True, zero=2), 5)}
    for threads in ("1", "3"):
        run = subprocess.run([sys.executable, "-c", SCRIPT], cwd=Path(__file__).parent, capture_output=True,
                             text=True, env={**os.environ, "TESSERA_NUM_THREADS": threads})
        assert run.returncode == 0, run.stderr
        found.add(run.stdout.strip())
    assert len(found) == 1
