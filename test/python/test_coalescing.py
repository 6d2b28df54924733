# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""How well the accesses of GPU kernels are coalesced, counted by the emulator.

For each argument of a kernel: the 32-byte sectors that its warps' accesses touch, against the fewest
that hold the same bytes (docs/debugging.md). The counts depend on shapes alone, not on a machine.
"""

import numpy as np
import pytest

import tessera as ts
from conftest import needs_runtime
from tessera._src import native
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
    executable = native.Executable(artefact, device="emulated", profile=True)
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
