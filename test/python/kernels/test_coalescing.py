# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""How well the accesses of GPU kernels are coalesced, counted by the emulator.

For each argument of a kernel: the 32-byte sectors that its warps' accesses touch, against the fewest
that hold the same bytes (docs/debugging.md). The counts depend on shapes alone, not on a machine.
"""

from collections.abc import Callable
from dataclasses import dataclass

import ml_dtypes
import numpy as np
import pytest

import tessera as ts
from conftest import needs_runtime
from tessera._src.programs import native, runtime
from tessera.models.encoder import Encoder, EncoderConfig, random_weights

pytestmark = needs_runtime

# The demo's model, but for its layers, which are alike, and its words, of which a few will do.
DEMO = EncoderConfig(hidden_size=384, intermediate_size=1536, num_attention_heads=12,
                     num_hidden_layers=1, vocab_size=100)


def ratios(function: ts.jit, *arguments) -> dict[str, float]:
    """Sectors touched per sector needed, by "kernel: load of argument i"."""
    lowered = function.lower(*arguments)
    artefact = lowered.compile(device="emulated")._artefact
    leaves = [np.ascontiguousarray(np.asarray(a))
              for a in ts.tree.flatten((arguments, {}))[0]]
    executable = runtime.Executable(artefact, device="emulated", profile=True)
    executable.run([word for a in leaves for word in (native.pointer_of(a), 0)])
    rows = executable.report()["traffic"]
    assert rows
    return {f"{r['kernel']}: {r['kind']} of argument {r['argument']}":
            r["sectors"] / r["leastSectors"] for r in rows}


def above(bound: float, found: dict[str, float]) -> dict[str, float]:
    return {name: ratio for name, ratio in found.items() if ratio > bound}


@pytest.mark.parametrize("tp", [1, 2])
@pytest.mark.parametrize("dtype", [ts.f32, ts.bf16], ids=["f32", "bf16"])
def test_all_kernels_of_the_demo_are_coalesced(dtype, tp):
    weights = {name: ts.array(np.asarray(a).astype(dtype))
               for name, a in random_weights(DEMO).items()}
    rng = np.random.default_rng(0)
    tokens = (rng.integers(0, DEMO.vocab_size, (2, 16), np.int32), np.ones((2, 16), np.int32),
              np.zeros((2, 16), np.int32))
    function = Encoder(DEMO, weights).function(ts.make_mesh({"tp": tp}), target="emulated:sm_90a")
    found = ratios(function, weights, *tokens)
    assert len(found) > 40
    assert above(1.0, found) == {}


@dataclass(frozen=True)
class Kernel:
    """A kind of kernel on arguments whose rows all begin at a sector: nothing is touched in vain."""

    function: Callable
    shapes: tuple[tuple[int, ...], ...]
    bound: float = 1.0
    rows: int = 0  # Of a table, which the last argument indexes.


KERNELS = {
    "elementwise": Kernel(lambda x, y: x * y + x, ((64, 256), (64, 256))),
    "broadcast of a row": Kernel(lambda x, b: x + b, ((64, 256), (256,))),
    "broadcast of a column": Kernel(lambda x, b: x + b, ((64, 256), (64, 1))),
    "transpose": Kernel(lambda x: x.T, ((64, 256),)),
    "transpose of outer dimensions": Kernel(lambda x: ts.transpose(x, (1, 0, 2)), ((16, 24, 32),)),
    "sum along the last dimension": Kernel(lambda x: ts.sum(x, axis=-1), ((64, 256),)),
    "sum along the first dimension": Kernel(lambda x: ts.sum(x, axis=0), ((64, 256),)),
    "product": Kernel(lambda x, w: x @ w, ((64, 256), (256, 128))),
    "product with a transposed factor": Kernel(lambda x, w: x @ w.T, ((64, 256), (128, 256))),
    "softmax": Kernel(lambda x: ts.softmax(x, axis=-1), ((64, 256),)),
    "layer_norm": Kernel(ts.layer_norm, ((64, 256), (256,), (256,))),
    "attention": Kernel(ts.attention, ((2, 32, 4, 64),) * 3),
    # The rows that a block has do not end where the sequence does.
    "attention of a ragged sequence": Kernel(ts.attention, ((2, 35, 2, 32),) * 3),
    "gather of rows": Kernel(lambda w, i: ts.take(w, i, axis=0), ((100, 128), (48,)), rows=100),
    "slice and concatenate": Kernel(lambda x, y: ts.concatenate([x[:, 32:96], y], axis=1),
                                    ((64, 256), (64, 64))),
}
# Rows of 37 and 131 elements begin anywhere: the 128 bytes that a warp reads of f32 lie in 5 sectors
# and not 4, the 64 bytes of bf16 in 3 and not 2, and at the end of a row lanes have less to do.
RAGGED = {
    "elementwise": Kernel(lambda x, y: x * y + x, ((37, 131), (37, 131)), 1.4),
    "sum along the last dimension": Kernel(lambda x: ts.sum(x, axis=-1), ((37, 131),), 1.4),
    "sum along the first dimension": Kernel(lambda x: ts.sum(x, axis=0), ((37, 131),), 1.45),
    "product": Kernel(lambda x, w: x @ w, ((37, 131), (131, 67)), 1.55),
    "product with a transposed factor": Kernel(lambda x, w: x @ w.T, ((37, 131), (67, 131)), 1.55),
    "layer_norm": Kernel(ts.layer_norm, ((37, 131), (131,), (131,)), 1.55),
    # Between rows of one head are those of the other: a warp reads the ends of two.
    "attention": Kernel(ts.attention, ((2, 35, 2, 37),) * 3, 1.9),
    "gather of rows": Kernel(lambda w, i: ts.take(w, i, axis=0), ((100, 131), (48,)), 1.55, 100),
    # Blocks are 32 wide both ways: a row of 64 bytes or less is read from anywhere.
    "transpose": Kernel(lambda x: x.T, ((37, 131),), 2.1),
    # Rows of 6 or 12 bytes, each in a sector of its own.
    "gather of short rows": Kernel(lambda w, i: ts.take(w, i, axis=0), ((100, 3), (48,)), 5, 100),
}


def check(kernel: Kernel, dtype: np.dtype) -> None:
    rng = np.random.default_rng(0)
    arguments = [rng.standard_normal(s, np.float32).astype(dtype) for s in kernel.shapes]
    if kernel.rows:
        arguments[-1] = rng.integers(0, kernel.rows, kernel.shapes[-1], np.int32)
    function = ts.jit(kernel.function, target="emulated:sm_90a")
    assert above(kernel.bound, ratios(function, *arguments)) == {}


@pytest.mark.parametrize("dtype", [np.float32, ml_dtypes.bfloat16], ids=["f32", "bf16"])
@pytest.mark.parametrize("name", KERNELS)
def test_aligned_rows_cost_what_they_need(name, dtype):
    check(KERNELS[name], dtype)


@pytest.mark.parametrize("dtype", [np.float32, ml_dtypes.bfloat16], ids=["f32", "bf16"])
@pytest.mark.parametrize("name", RAGGED)
def test_ragged_rows_cost_little_more(name, dtype):
    check(RAGGED[name], dtype)
