# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Plans of two stages, each on the devices with one coordinate along `pp`, against NumPy."""

import re

import numpy as np
import pytest

from conftest import needs_runtime
from programs import run
from tessera._src.core.errors import CompileError
from tessera._src.programs import native

MESH = "dist.mesh @mesh <[pp = 2, tp = 2]>"
KERNELS = """
tile.kernel @first grid [1] inputs 2 {
^bb0(%x: memref<5x6xf32>, %w: memref<6x3xf32>, %y: memref<5x3xf32>):
  %zero = arith.constant dense<0.0> : tensor<5x3xf32>
  %c0 = arith.constant 0 : index
  %0 = tile.load %x[%c0, %c0] : memref<5x6xf32> -> tensor<5x6xf32>
  %1 = tile.load %w[%c0, %c0] : memref<6x3xf32> -> tensor<6x3xf32>
  %2 = tile.dot %0, %1, %zero : tensor<5x6xf32>, tensor<6x3xf32> -> tensor<5x3xf32>
  %3 = arith.negf %2 : tensor<5x3xf32>
  tile.store %3, %y[%c0, %c0] : tensor<5x3xf32>, memref<5x3xf32>
}
tile.kernel @second grid [1] inputs 2 {
^bb0(%x: memref<5x6xf32>, %w: memref<6x3xf32>, %y: memref<5x3xf32>):
  %zero = arith.constant dense<0.0> : tensor<5x3xf32>
  %c0 = arith.constant 0 : index
  %0 = tile.load %x[%c0, %c0] : memref<5x6xf32> -> tensor<5x6xf32>
  %1 = tile.load %w[%c0, %c0] : memref<6x3xf32> -> tensor<6x3xf32>
  %2 = tile.dot %0, %1, %zero : tensor<5x6xf32>, tensor<6x3xf32> -> tensor<5x3xf32>
  %3 = arith.maximumf %2, %zero : tensor<5x3xf32>
  tile.store %3, %y[%c0, %c0] : tensor<5x3xf32>, memref<5x3xf32>
}
"""
SEND = ("over {pp} {targets = array<i64: 2, 3, 0, 1>} : tensor<5x6xf32> -> tensor<5x6xf32>, "
        "!plan.buffer<120>, !plan.buffer<120>")
SUM = ("over {pp} {reduction = #dist<reduction sum>} : tensor<3x5x3xf32> -> tensor<3x5x3xf32>, "
       "!plan.buffer<180>, !plan.buffer<180>")

# The first stage sends its activations, of which each device along tp has made half of the columns,
# microbatch by microbatch. The result goes to the first stage as a sum to which that adds zeros.
PLAN = f"""
{MESH}
{KERNELS}
plan.program @main on @mesh arena 384 {{
  %x = plan.input "x" : tensor<3x5x6xf32> as tensor<3x5x6xf32>
      layout <@mesh, [{{}}, {{}}, {{}}]> -> !plan.buffer<360>
  %w = plan.input "w" : tensor<2x6x6xf32> as tensor<1x6x3xf32>
      layout <@mesh, [{{pp}}, {{}}, {{tp}}]> -> !plan.buffer<72>
  %n = plan.input "n" donated : tensor<2xi32> as tensor<1xi32> layout <@mesh, [{{pp}}]> -> !plan.buffer<4>
  %y = plan.output "y" : tensor<3x5x6xf32> as tensor<3x5x3xf32>
      layout <@mesh, [{{}}, {{}}, {{tp}}]> -> !plan.buffer<180>
  plan.tied_output "n" : tensor<2xi32> as tensor<1xi32> layout <@mesh, [{{pp}}]> in %n : !plan.buffer<4>
  plan.stage @first where {{pp = 0}} arena 384 {{
    %half = plan.allocate at 0 -> !plan.buffer<60>
    %whole = plan.allocate at 64 -> !plan.buffer<120>
    %unused = plan.allocate at 192 -> !plan.buffer<120>
    %zeros = plan.allocate at 192 -> !plan.buffer<180>
    plan.loop 3 over (%x : !plan.buffer<360>) carry () to () {{
    ^bb0(%xi: !plan.buffer<120>):
      plan.launch @first grid [1] (%xi, %w) to (%half)
          : (!plan.buffer<120>, !plan.buffer<72>) -> !plan.buffer<60>
      plan.collective all_gather %half to %whole over {{tp}}
          {{dim = 1 : i64}} : tensor<5x3xf32> -> tensor<5x6xf32>, !plan.buffer<60>, !plan.buffer<120>
      plan.collective permute %whole to %unused {SEND}
    }}
    plan.fill %zeros with 0.0 : f32 : !plan.buffer<180>
    plan.collective all_reduce %zeros to %y {SUM}
  }}
  plan.stage @second where {{pp = 1}} arena 256 {{
    %nothing = plan.allocate at 0 -> !plan.buffer<120>
    %received = plan.allocate at 128 -> !plan.buffer<120>
    plan.fill %nothing with 0.0 : f32 : !plan.buffer<120>
    plan.fill %n with 7 : i32 : !plan.buffer<4>
    plan.loop 3 over (%y : !plan.buffer<180>) carry () to () {{
    ^bb0(%yi: !plan.buffer<60>):
      plan.collective permute %nothing to %received {SEND}
      plan.launch @second grid [1] (%received, %w) to (%yi)
          : (!plan.buffer<120>, !plan.buffer<72>) -> !plan.buffer<60>
    }}
    plan.collective all_reduce %y to %y {SUM}
  }}
}}
"""


def _inputs():
    """Small integers, of which products and sums are exact."""
    rng = np.random.default_rng(3)
    return [rng.integers(-4, 5, (3, 5, 6)).astype(np.float32),
            rng.integers(-4, 5, (2, 6, 6)).astype(np.float32),
            np.array([1, 2], np.int32)]


@needs_runtime
@pytest.mark.quick
@pytest.mark.parametrize("target", ["cpu", "emulated"])
def test_two_stages_compute_what_numpy_does(target):
    x, w, n = _inputs()
    y, seen = run(PLAN, [x, w, n], target)
    np.testing.assert_array_equal(y, np.maximum(-(x @ w[0]) @ w[1], 0))
    np.testing.assert_array_equal(seen, [1, 7])
    np.testing.assert_array_equal(n, [1, 2])


@needs_runtime
def test_the_report_has_the_arena_of_each_stage():
    _, _, report = native.compile_text(PLAN)
    assert report["stages"] == [{"name": "first", "arenaBytes": 384}, {"name": "second", "arenaBytes": 256}]
    assert report["arenaBytes"] == 384
    assert [tie["argument"] for tie in report["ties"]] == ["n"]


@needs_runtime
def test_a_stage_that_does_not_take_part_is_an_error_at_its_line():
    lines = PLAN.split("\n")
    alone = next(i for i, line in enumerate(lines) if re.search("all_reduce %y", line))
    del lines[alone]
    with pytest.raises(CompileError, match="stage @second has no step that meets it"):
        native.compile_text("\n".join(lines))
